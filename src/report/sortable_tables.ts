/**
 * Sorts tables of the class `measures` by the head that is clicked (by their cells' `data-value`, or text), and leaves in
 * the table that a search field names with `data-filters` what matches it. Plain JavaScript: a page shows all the same
 * without it, less what has the class `scripted`.
 */
export const tableScript = `
document.documentElement.classList.add("has-script");

for (const table of document.querySelectorAll("table.measures")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const keyOf = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      const rows = [...body.rows].sort((a, b) => (descending ? -1 : 1) * compare(keyOf(a), keyOf(b)));
      body.append(...rows);
    });
  });
}

for (const field of document.querySelectorAll("input[data-filters]")) {
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
    for (const row of document.getElementById(field.dataset.filters).tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
`;

/** Style of such tables, and of cells that say what became better or worse. */
export const tableStyle = `
.wide { overflow-x: auto; }
.measures { width: 100%; font-size: 0.86rem; }
.measures td, .measures th { padding: 3px 0 3px 14px; }
.measures td:first-child, .measures th:first-child { padding-left: 0; }
.measures tbody tr:hover { background: color-mix(in srgb, var(--accent), transparent 92%); }
.measures th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
.measures th[aria-sort] button { color: var(--text); font-weight: 600; }
.measures th[aria-sort="descending"] button::after { content: " ↓"; }
.measures th[aria-sort="ascending"] button::after { content: " ↑"; }
.measures td.worse, .worse { color: var(--bad); }
.measures td.better, .better { color: var(--good); }
.measures .noise { color: var(--quiet); }
input[type="search"] { font: inherit; font-size: 0.9rem; color: inherit; background: var(--page); border: 1px solid var(--line); border-radius: 5px; padding: 3px 9px; margin: 0 0 8px; width: 260px; max-width: 100%; }
.scripted { display: none; }
.has-script .scripted { display: block; }
`;
