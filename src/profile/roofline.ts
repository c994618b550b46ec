import { scaleLog } from "d3-scale";
import { type Html, html } from "../report/html.ts";
import { familyOf } from "./families.ts";
import type { VariantMeasures, SavedProfile } from "./saved_profile.ts";
import { shortVariant } from "./table.ts";
import { formatMs, formatPercent, formatRate } from "./units.ts";

const size = { width: 760, height: 430, left: 58, right: 16, top: 14, bottom: 46 };
const numbered = 8;
const decade = (value: number, round: (value: number) => number) => 10 ** round(Math.log10(value));

type Point = VariantMeasures & { kernel: string };

/**
 * Every variant of every kernel by arithmetic intensity and GFLOP/s, both logarithmic, under the measured roofs; the area
 * of a point is its time. Kernels without arithmetic have no place in it.
 */
export function rooflinePlot({ kernels, roofs, total }: SavedProfile): Html {
  const points = kernels.flatMap(({ kernel, variants }) => variants.map((variant): Point => ({ kernel, ...variant }))).filter(({ gflops, intensity }) => gflops > 0 && intensity > 0);
  if (points.length === 0) return html`<p class="quiet">No kernel did arithmetic that was timed.</p>`;
  const ridge = roofs.fmaGflops / roofs.copyGBps;
  const x = scaleLog([decade(Math.min(0.5 * ridge, ...points.map(({ intensity }) => intensity)), Math.floor), decade(Math.max(2 * ridge, ...points.map(({ intensity }) => intensity)), Math.ceil)], [size.left, size.width - size.right]);
  const y = scaleLog([decade(Math.min(...points.map(({ gflops }) => gflops)), Math.floor), decade(1.2 * Math.max(roofs.fmaGflops, ...points.map(({ gflops }) => gflops)), Math.ceil)], [size.height - size.bottom, size.top]);
  const radius = ({ ms }: Point) => 3 + 26 * Math.sqrt(ms / total.ms);
  return html`<svg class="roofline" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="roofline">
<clipPath id="roofline-frame"><rect x="${size.left}" y="${size.top}" width="${size.width - size.left - size.right}" height="${size.height - size.top - size.bottom}"/></clipPath>
${axes(x, y)}
<g clip-path="url(#roofline-frame)">${roofLines(x, y, roofs.copyGBps, roofs.fmaGflops, roofs.matmulGflops)}</g>
${points.map((point) => html`<a href="#wgsl-${point.source}"><circle class="${familyOf(point.kernel)}" cx="${x(point.intensity).toFixed(1)}" cy="${y(point.gflops).toFixed(1)}" r="${radius(point).toFixed(1)}"><title>${describe(point)}</title></circle></a>`)}
${numbers(points, x, y)}
</svg>
${numberLegend(points)}`;
}

type Scale = ReturnType<typeof scaleLog<number, number>>;

function axes(x: Scale, y: Scale): Html {
  const [bottom, right] = [size.height - size.bottom, size.width - size.right];
  const decades = (scale: Scale) => scale.ticks().filter((value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9);
  const vertical = decades(x).map((value) => html`<line x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${size.top}" y2="${bottom}"/><text x="${x(value).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${plain(value)}</text>`);
  const horizontal = decades(y).map((value) => html`<line x1="${size.left}" x2="${right}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}"/><text x="${size.left - 7}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${plain(value)}</text>`);
  return html`<g class="grid">${vertical}${horizontal}</g>
<text class="axis" x="${(size.left + right) / 2}" y="${size.height - 10}" text-anchor="middle">arithmetic intensity, FLOP a byte</text>
<text class="axis" transform="translate(15 ${(size.top + bottom) / 2}) rotate(-90)" text-anchor="middle">GFLOP/s</text>`;
}

const plain = (value: number) => (value >= 1e-3 && value < 1e5 ? String(Number(value.toPrecision(3))) : `1e${Math.round(Math.log10(value))}`);

/** The slope that memory sets, the ceiling of arithmetic, and what the matmul kernel reaches. */
function roofLines(x: Scale, y: Scale, copyGBps: number, fmaGflops: number, matmulGflops: number): Html {
  const [least, most] = x.domain();
  const ridge = fmaGflops / copyGBps;
  const at = (intensity: number, gflops: number) => `${x(intensity).toFixed(1)} ${y(gflops).toFixed(1)}`;
  const ceilingY = y(fmaGflops);
  return html`<path class="roof" d="M${at(least, least * copyGBps)}L${at(ridge, fmaGflops)}L${at(most, fmaGflops)}"/>
<path class="roof dashed" d="M${at(matmulGflops / copyGBps, matmulGflops)}L${at(most, matmulGflops)}"/>
<text class="roof-name" x="${size.width - size.right - 6}" y="${(ceilingY - 6).toFixed(1)}" text-anchor="end">${formatRate(fmaGflops)} GFLOP/s in registers</text>
<text class="roof-name" x="${size.width - size.right - 6}" y="${(y(matmulGflops) - 6).toFixed(1)}" text-anchor="end">${formatRate(matmulGflops)} GFLOP/s, matmul</text>
<text class="roof-name" transform="translate(${x(ridge / 8).toFixed(1)} ${y(fmaGflops / 8).toFixed(1)}) rotate(${slope(x, y).toFixed(1)})" dy="-7" text-anchor="middle">${formatRate(copyGBps)} GB/s copied</text>`;
}

/** Degrees by which the memory roof rises on the page. */
function slope(x: Scale, y: Scale): number {
  return (Math.atan2(y(10) - y(1), x(10) - x(1)) * 180) / Math.PI;
}

function describe({ kernel, variant, calls, ms, share, gflops, gbps, intensity, roofShare, bound }: Point): string {
  return `${kernel} ${shortVariant(variant)}\n${formatMs(ms)} ms, ${formatPercent(share)}, ${calls} calls\n${formatRate(gflops)} GFLOP/s, ${formatRate(gbps)} GB/s, ${formatRate(intensity)} FLOP/B\n${formatPercent(roofShare)} of its roof, bound: ${bound}`;
}

/** The points that took longest, by which the plot's numbers are explained. */
const largestOf = (points: readonly Point[]) => [...points].sort((a, b) => b.ms - a.ms).slice(0, numbered);

function numbers(points: readonly Point[], x: Scale, y: Scale): Html[] {
  return largestOf(points).map(({ intensity, gflops }, i) => html`<text class="point-number" x="${x(intensity).toFixed(1)}" y="${(y(gflops) + 4).toFixed(1)}" text-anchor="middle">${i + 1}</text>`);
}

function numberLegend(points: readonly Point[]): Html {
  return html`<ol class="legend numbers">${largestOf(points).map(({ kernel, variant, share }) => html`<li title="${shortVariant(variant)}">${kernel}, ${formatPercent(share)}</li>`)}</ol>`;
}
