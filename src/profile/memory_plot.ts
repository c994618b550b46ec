import { scaleLinear } from "d3-scale";
import { area, curveStepAfter, stack } from "d3-shape";
import { type Html, html } from "../report/html.ts";
import type { SavedProfile } from "./saved_profile.ts";
import { formatMib, formatMs } from "./units.ts";

const size = { width: 1200, height: 330, left: 64, right: 16, top: 12, bottom: 40, strip: 12 };

/** Live bytes over time, stacked by scope; below, when the device computed and when the host encoded, on the same axis. */
export function memoryPlot({ memory, submissions, wall, gpu }: SavedProfile): Html {
  const { ms, scopes, peak } = memory;
  const strips = gpu.busyMs > 0 ? 2 : 1;
  const bottom = size.height - size.bottom - strips * (size.strip + 4);
  const end = Math.max(wall.profiledMs, ...submissions.map(({ endMs }) => endMs));
  const x = scaleLinear([0, end], [size.left, size.width - size.right]);
  const y = scaleLinear([0, Math.max(peak.bytes, 1) / 2 ** 20], [bottom, size.top]).nice(5);
  // The last values hold until the end.
  const times = [...ms, end];
  const layers = stack<number>().keys(scopes.map((_, i) => String(i))).value((moment, key) => scopes[Number(key)].bytes[Math.min(moment, ms.length - 1)] / 2 ** 20)(times.map((_, i) => i));
  const shape = area<[number, number]>().x((_, i) => x(times[i])).y0(([low]) => y(low)).y1(([, high]) => y(high)).curve(curveStepAfter).digits(1);
  return html`<svg class="memory" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="memory over time">
${axes(x, y, bottom)}
${layers.map((layer, i) => html`<path class="series-${i}" d="${shape(layer as unknown as [number, number][]) ?? ""}"><title>${scopes[i].name}: ${formatMib(Math.max(...scopes[i].bytes))} at most</title></path>`)}
<line class="peak" x1="${size.left}" x2="${size.width - size.right}" y1="${y(peak.bytes / 2 ** 20).toFixed(1)}" y2="${y(peak.bytes / 2 ** 20).toFixed(1)}"/>
${timeStrips(submissions, x, bottom, gpu.busyMs > 0)}
</svg>
<div class="legend">${scopes.map(({ name, bytes }, i) => html`<span><i class="swatch series-${i}"></i>${name}, ${formatMib(Math.max(...bytes))}</span>`)}</div>`;
}

type Scale = ReturnType<typeof scaleLinear<number, number>>;

function axes(x: Scale, y: Scale, bottom: number): Html {
  const right = size.width - size.right;
  const horizontal = y.ticks(5).map((value) => html`<line x1="${size.left}" x2="${right}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}"/><text x="${size.left - 7}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${value}</text>`);
  const vertical = x.ticks(10).map((value) => html`<text x="${x(value).toFixed(1)}" y="${size.height - size.bottom + 16}" text-anchor="middle">${value}</text>`);
  return html`<g class="grid">${horizontal}${vertical}</g>
<text class="axis" x="${(size.left + right) / 2}" y="${size.height - 6}" text-anchor="middle">ms since the profiled run began</text>
<text class="axis" transform="translate(15 ${(size.top + bottom) / 2}) rotate(-90)" text-anchor="middle">MiB live</text>`;
}

function timeStrips(submissions: SavedProfile["submissions"], x: Scale, bottom: number, timed: boolean): Html[] {
  const strip = (name: string, row: number, spans: readonly { from: number; to: number; title: string }[]) => {
    const top = bottom + 5 + row * (size.strip + 4);
    const rects = spans.map(({ from, to, title }) => html`<rect x="${x(from).toFixed(2)}" width="${Math.max(0.5, x(to) - x(from)).toFixed(2)}" y="${top}" height="${size.strip}"><title>${title}</title></rect>`);
    return html`<g class="strip ${name}"><rect class="ground" x="${size.left}" width="${size.width - size.left - size.right}" y="${top}" height="${size.strip}"/>${rects}<text x="${size.left - 7}" y="${top + 10}" text-anchor="end">${name}</text></g>`;
  };
  const device = submissions.map(({ startMs, endMs, dispatches }) => ({ from: startMs, to: endMs, title: `${dispatches} dispatches, ${formatMs(endMs - startMs)} ms` }));
  const host = submissions.map(({ encodeStartMs, encodeMs, dispatches }) => ({ from: encodeStartMs, to: encodeStartMs + encodeMs, title: `${dispatches} dispatches encoded in ${formatMs(encodeMs)} ms` }));
  return [...(timed ? [strip("device", 0, device)] : []), strip("host", timed ? 1 : 0, host)];
}
