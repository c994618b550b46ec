/**
 * The page's script, plain JavaScript: tables sort by the head that is clicked, the kernels' table shows what matches the
 * search, and the flame graph enlarges the frame that is clicked. Without it the page shows all the same.
 */
export const pageScript = `
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

const flame = document.querySelector(".flame");
if (flame) {
  const width = Number(flame.dataset.width);
  const chosen = document.querySelector(".chosen");
  const frames = [...flame.querySelectorAll("g")].map((element) => ({
    element,
    rect: element.querySelector("rect"),
    text: element.querySelector("text"),
    x: Number(element.dataset.x),
    w: Number(element.dataset.w),
    depth: Number(element.dataset.depth),
    name: element.dataset.name,
  }));
  const enlarge = (target) => {
    for (const { element, rect, text, x, w, depth, name } of frames) {
      const around = depth < target.depth && x <= target.x + 1e-9 && x + w >= target.x + target.w - 1e-9;
      const left = around ? 0 : (x - target.x) / target.w;
      const across = around ? 1 : w / target.w;
      const shown = around || (depth >= target.depth && left > -1e-6 && left + across < 1 + 1e-6);
      element.style.display = shown ? "" : "none";
      element.style.opacity = around && depth < target.depth ? 0.6 : 1;
      rect.setAttribute("x", left * width);
      rect.setAttribute("width", across * width);
      text.setAttribute("x", left * width + 4);
      const letters = Math.floor((across * width - 6) / 6.3);
      text.textContent = letters >= name.length ? name : letters >= 4 ? name.slice(0, letters - 1) + "…" : "";
    }
  };
  for (const frame of frames) {
    frame.element.addEventListener("click", () => enlarge(frame));
    frame.element.addEventListener("mouseenter", () => {
      chosen.textContent = frame.element.querySelector("title").textContent.replace("\\n", ": ");
      for (const other of frames) other.element.classList.toggle("same", other.name === frame.name);
    });
  }
}
`;
