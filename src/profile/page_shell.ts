import { Html, html, type HtmlValue } from "../report/html.ts";
import { page } from "../report/page.ts";
import { tableScript, tableStyle } from "../report/sortable_tables.ts";
import { allFamilies } from "./families.ts";
import { flameScript } from "./flame_script.ts";
import { profileStyle } from "./page_style.ts";

/** What a page about profiles shows. */
export interface PageContent {
  title: string;
  subtitle: string;
  /** What the reader must know. */
  notes: readonly string[];
  body: HtmlValue;
  footer: string;
}

/** One self-contained page. */
export function pageShell({ title, subtitle, notes, body, footer }: PageContent): string {
  const content = html`<header>
<h1>${title}</h1>
<div class="quiet">${subtitle}</div>
${notes.map((note) => html`<div class="banner">${note[0].toUpperCase()}${note.slice(1)}.</div>`)}
</header>
<main>
${body}
</main>
<footer class="quiet">${footer}</footer>
<script>${new Html(tableScript + flameScript)}</script>`;
  return page(title, content, tableStyle + profileStyle);
}

/** A number that stands for itself. */
export function tile(value: string, name: string): Html {
  return html`<div class="tile"><b>${value}</b><span>${name}</span></div>`;
}

/** What the colours of kernels mean. */
export function familyLegend(): Html {
  return html`<div class="legend">${allFamilies.map((family) => html`<span><i class="swatch ${family}"></i>${family}</span>`)}</div>`;
}
