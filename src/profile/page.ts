import { type Html, html } from "../report/html.ts";
import { panel } from "../report/page.ts";
import { familyOf } from "./families.ts";
import { findings } from "./findings.ts";
import { flameGraph } from "./flame_graph.ts";
import type { Measures } from "./measures.ts";
import { memoryPlot } from "./memory_plot.ts";
import { familyLegend, pageShell, tile } from "./page_shell.ts";
import { rooflinePlot } from "./roofline.ts";
import type { SavedProfile, ScopeMeasures } from "./saved_profile.ts";
import { measureColumns, shortVariant } from "./table.ts";
import { formatMib, formatMs, formatPercent, formatRate } from "./units.ts";

/** One self-contained page about a profile. */
export function profilePage(profile: SavedProfile): string {
  const { work, device, notes, version, total } = profile;
  const settings = Object.entries(work.settings).map(([name, value]) => `${name} ${value}`).join(", ");
  const timed = total.ms > 0;
  return pageShell({
    title: "Where the time goes",
    subtitle: `${work.what}: ${work.title} · ${work.model} · ${settings} · ${device.adapter}, ${device.driver}`,
    notes,
    footer: `attnscope ${version}. Bytes are those of inputs and outputs, each once; operations are those of the formula.`,
    body: [
      tiles(profile),
      timed && panel("Time by scope", flameGraph(profile), html`<p class="chosen scripted">Click a frame to enlarge it, the uppermost to see all.</p>`, familyLegend()),
      timed && html`<div class="two">${panel("Roofline", rooflinePlot(profile), html`<p class="quiet note">Areas are times. A point leads to its kernel's source. Points above the slanted roof read from a cache.</p>`)}${panel("What to try", findingList(profile))}</div>`,
      panel("Kernels", html`<input class="scripted" type="search" placeholder="search kernels and variants" data-filters="kernels">`, kernelTable(profile)),
      profile.choices.length > 0 && panel("Choices between kernels", choiceTable(profile)),
      panel("Memory", memoryPlot(profile)),
      panel("Scopes", scopeTable(profile)),
      panel("Source", html`<p class="quiet note">The WGSL that ran: prelude, fragments, kernel. Its overrides stand with each variant.</p>`, sources(profile)),
    ],
  });
}

function tiles({ wall, host, gpu, total, roofs, memory }: SavedProfile): Html {
  const timed = total.ms > 0;
  return html`<div class="tiles">
${tile(`${formatMs(wall.againMs)} ms`, "undisturbed, without timestamps")}
${tile(`${formatMs(wall.firstMs)} ms`, `the first time, ${wall.pipelines} kernels to compile`)}
${timed && tile(`${formatMs(gpu.busyMs)} ms`, `in dispatches; ${formatMs(gpu.gapMs)} between them, ${formatMs(gpu.idleMs)} waiting for the host`)}
${timed && tile(formatPercent(total.roofShare), `of the roofline; ${formatRate(total.gflops)} GFLOP/s, ${formatRate(total.gbps)} GB/s`)}
${tile(`${host.dispatches}`, `dispatches in ${host.submissions} submissions`)}
${tile(`${formatRate(host.medianDispatchUs)} µs`, `of the host a dispatch; ${formatMs(host.encodeMs)} ms in all`)}
${tile(formatMib(memory.peak.bytes), `live at most; ${formatMib(memory.peakHeldBytes)} held`)}
${tile(`${formatRate(roofs.copyGBps)} GB/s`, `copied; ${formatRate(roofs.fmaGflops)} GFLOP/s in registers, ${formatRate(roofs.matmulGflops)} in a matmul`)}
</div>`;
}

function findingList(profile: SavedProfile): Html {
  return html`<ul class="findings">${findings(profile).map(({ fact, advice }) => html`<li>${fact}. <span class="quiet">${advice[0].toUpperCase()}${advice.slice(1)}.</span></li>`)}</ul>`;
}

const measureHeads = () => measureColumns.map(({ head, title }) => html`<th class="number" title="${title}">${head}</th>`);

/** Cells of the measures; that of the share has a bar. */
function measureCells(measures: Measures): Html[] {
  return measureColumns.map(({ head, text, value }) => {
    const bar = head === "share" && html` style="--part: ${(100 * measures.share).toFixed(1)}%"`;
    return html`<td class="number${bar && " bar"}" data-value="${value(measures)}"${bar}>${text(measures)}</td>`;
  });
}

function kernelTable({ kernels }: SavedProfile): Html {
  const variants = kernels.flatMap(({ kernel, variants: of }) => of.map((variant) => ({ kernel, ...variant }))).sort((a, b) => b.ms - a.ms);
  const rows = variants.map(({ kernel, variant, source, ...measures }) => html`<tr><td><i class="swatch ${familyOf(kernel)}"></i><a href="#wgsl-${source}">${kernel}</a> <span class="variant">${shortVariant(variant)}</span></td>${measureCells(measures)}</tr>`);
  return html`<div class="wide"><table class="measures" id="kernels"><thead><tr><th>kernel, variant</th>${measureHeads()}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function choiceTable({ choices }: SavedProfile): Html {
  const rows = choices.map(({ choice: { op, shapeClass, variant }, ...measures }) => html`<tr><td>${op} <span class="variant">${shapeClass}</span></td><td>${variant}</td>${measureCells(measures)}</tr>`);
  return html`<p class="quiet note">Each side of a shape is rounded up to a power of two. attnscope tune measures the other variants and keeps the fastest.</p>
<div class="wide"><table class="measures"><thead><tr><th>op, shape class</th><th>variant</th>${measureHeads()}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function scopeTable({ scopes }: SavedProfile): Html {
  const rows = scopes.map((scope, i) => html`<tr><td data-value="${i}" style="padding-left: ${14 * (depthOf(scope) - 1)}px">${scope.scope.split("/").at(-1) || "no scope"}</td>${measureCells(scope)}</tr>`);
  return html`<div class="wide scopes"><table class="measures"><thead><tr><th>scope</th>${measureHeads()}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

const depthOf = ({ scope }: ScopeMeasures) => scope.split("/").length;

function sources({ kernels, wgsl }: SavedProfile): Html[] {
  return wgsl.map((code, source) => {
    const users = kernels.flatMap(({ kernel, variants }) => variants.filter((variant) => variant.source === source).map((variant) => ({ kernel, ...variant })));
    const variants = users.map(({ variant, calls, ms }) => html`<tr><td>${variant || "no constants"}</td><td class="number">${calls} calls</td><td class="number">${formatMs(ms)} ms</td></tr>`);
    // Browsers open a closed part that holds the target of a link: the id is inside.
    return html`<details class="source"><summary>${users[0].kernel} <span class="quiet">${users.length > 1 && `${users.length} variants, `}${code.split("\n").length} lines</span></summary><div id="wgsl-${source}"><table><tbody>${variants}</tbody></table><pre>${highlighted(code)}</pre></div></details>`;
  });
}

/** WGSL with its comments set back. */
function highlighted(code: string): Html[] {
  return code.split("\n").map((line) => {
    const comment = line.indexOf("//");
    return comment < 0 ? html`${line}\n` : html`${line.slice(0, comment)}<span class="comment">${line.slice(comment)}</span>\n`;
  });
}
