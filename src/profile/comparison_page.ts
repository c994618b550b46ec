import { type Html, html } from "../report/html.ts";
import { panel } from "../report/page.ts";
import type { Comparison, Difference } from "./compare.ts";
import { differenceColumns, formatSigned, wholeRows } from "./comparison_table.ts";
import { familyOf } from "./families.ts";
import { familyLegend, pageShell, tile } from "./page_shell.ts";
import { formatMs } from "./units.ts";

/** One self-contained page about two profiles. */
export function comparisonPage(comparison: Comparison): string {
  const { files, before, after, notes, kernels, scopes } = comparison;
  return pageShell({
    title: "What changed between two profiles",
    subtitle: `${files[0]} before, ${files[1]} after · ${before.work.what}: ${before.work.title} · ${before.device.adapter}`,
    notes,
    footer: `attnscope ${before.version} before, ${after.version} after. Milliseconds are those of all calls at the median of their kind, which a moment's load of the machine does not move.`,
    body: [
      html`<div class="tiles">${wholeRows(comparison).map(([name, a, b]) => tile(`${a} → ${b}`, name))}</div>`,
      panel("Difference by kernel", differencePlot(kernels), familyLegend()),
      panel("Kernels", differenceTable("kernel", kernels)),
      panel("Scopes", differenceTable("scope", scopes)),
    ],
  });
}

const size = { width: 1200, names: 260, numbers: 130, row: 24 };
const mostBars = 16;

/** Bars to the right for what takes longer, to the left for what takes less; pale where it may be chance. */
function differencePlot(kernels: readonly Difference[]): Html {
  const shown = kernels.slice(0, mostBars).filter(({ differenceMs }) => differenceMs !== 0);
  if (shown.length === 0) return html`<p class="quiet">No kernel's time differs.</p>`;
  const largest = Math.max(...shown.map(({ differenceMs }) => Math.abs(differenceMs)));
  const middle = (size.names + size.width - size.numbers) / 2 + size.numbers / 2;
  const scale = (size.width - size.numbers - middle) / largest;
  const height = shown.length * size.row + 6;
  const bars = shown.map(({ name, differenceMs, verdict }, i) => {
    const [top, length] = [i * size.row + 4, Math.abs(differenceMs) * scale];
    const end = differenceMs < 0 ? middle - length - 6 : middle + length + 6;
    return html`<g class="${familyOf(name)}${verdict === "same" && " pale"}"><text x="0" y="${top + 13}">${name}</text><rect x="${(differenceMs < 0 ? middle - length : middle).toFixed(1)}" y="${top}" width="${length.toFixed(1)}" height="${size.row - 7}"/><text x="${end.toFixed(1)}" y="${top + 13}" text-anchor="${differenceMs < 0 ? "end" : "start"}">${formatSigned(differenceMs, formatMs)} ms</text></g>`;
  });
  return html`<svg class="differences" viewBox="0 0 ${size.width} ${height}" role="img" aria-label="difference by kernel"><line class="peak" x1="${middle}" x2="${middle}" y1="0" y2="${height}"/>${bars}</svg>
<p class="quiet note">Left: less time after than before. Right: more. Pale: no more than chance, or than what the machine did to all kernels.</p>`;
}

const verdictClass = { faster: "better", slower: "worse", same: "noise", new: "", gone: "" } as const;

function differenceTable(head: string, rows: readonly Difference[]): Html {
  const heads = differenceColumns.map((column) => html`<th class="number">${column.head}</th>`);
  const body = rows.map((row) => html`<tr><td>${row.name}</td>${differenceColumns.map(({ head: column, text, value }) => html`<td class="number${["difference", "change", "verdict"].includes(column) && ` ${verdictClass[row.verdict]}`}" data-value="${value(row)}">${text(row)}</td>`)}</tr>`);
  return html`<div class="wide scopes"><table class="measures"><thead><tr><th>${head}</th>${heads}</tr></thead><tbody>${body}</tbody></table></div>`;
}
