import { Html, type HtmlValue, html } from "./html.ts";
import { style } from "./style.ts";

/** One self-contained page, styles inline. `styles`: more of them than every page has. */
export function page(title: string, body: Html, styles = ""): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>attnscope: ${title}</title>
<style>${new Html(style + styles)}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}

export type Row = readonly [name: string, value: string];

/** A part of a page under its own head. */
export function panel(head: string, ...content: HtmlValue[]): Html {
  return html`<section class="panel"><h2>${head}</h2>${content}</section>`;
}

/** A table of facts under a heading. */
export function section(name: string, rows: readonly Row[]): Html {
  return html`<section><h2>${name}</h2><table><tbody>${rows.map(([head, value]) => html`<tr><th>${head}</th><td>${value}</td></tr>`)}</tbody></table></section>`;
}
