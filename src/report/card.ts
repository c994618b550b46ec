import { describePoint } from "./film_coordinates.ts";
import { type Html, html } from "./html.ts";
import type { RecordedBox, ResultRecord } from "./result_record.ts";

/** Pictures of a result as data URLs, small. */
export interface Thumbnails {
  film: string;
  overlay: string;
  /** Overlays of the single words, in the order of the record's words; empty where they were not asked for. */
  words: readonly string[];
}

/** A result in the report. */
export interface ReportEntry {
  /** Folder of the result's files, relative to the report. */
  folder: string;
  record: ResultRecord;
  thumbnails: Thumbnails;
}

/** Everything about one result. */
export function resultCard({ folder, record, thumbnails }: ReportEntry): Html {
  const { image, phrase, note, boxes } = record;
  return html`<article class="card">
<div class="pictures">
${picture(thumbnails.film, record, `${image.name}, its regions and peak`, [...regionMarks(record), ...referenceMarks(record), peakMark(record)])}
${picture(thumbnails.overlay, record, `map of “${phrase}”`, referenceMarks(record))}
</div>
<div class="body">
<p class="phrase">${phraseWords(record)}</p>
${note && html`<p class="note quiet">Note: ${note}.</p>`}
<dl class="facts">${facts(record)}</dl>
${thumbnails.words.length > 0 && html`<div class="words">${wordPictures(record, thumbnails)}</div>`}
<details><summary>Words: which count, and why</summary>${wordTable(record)}</details>
<details><summary>${boxes.length === 1 ? "1 region" : `${boxes.length} regions`} of the mask</summary>${regionTable(record)}</details>
${image.notes.length > 0 && html`<p class="note quiet">${image.name}: ${image.notes.join("; ")}.</p>`}
<div class="files"><span class="quiet">${image.name}, ${image.width} × ${image.height} · </span>${fileLinks(folder, thumbnails)}</div>
</div>
</article>
`;
}

/** A picture of the film's shape with marks in film pixels, sharp at any size. */
function picture(href: string, { image: { width, height } }: ResultRecord, label: string, marks: readonly Html[]): Html {
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}"><image href="${href}" width="${width}" height="${height}"/>${marks}</svg>`;
}

/** An outline with a dark halo. */
function boxMark({ x, y, w, h }: RecordedBox, stroke: string): Html {
  const place = html`x="${x}" y="${y}" width="${w}" height="${h}" fill="none" vector-effect="non-scaling-stroke"`;
  return html`<rect ${place} stroke="#000" stroke-opacity="0.6" stroke-width="4"/><rect ${place} stroke="${stroke}" stroke-width="2"/>`;
}

function referenceMarks({ reference }: ResultRecord): Html[] {
  return (reference?.boxes ?? []).map((box) => boxMark(box, "#fff"));
}

function regionMarks({ boxes }: ResultRecord): Html[] {
  return boxes.map(({ film }) => boxMark(film, "#f0f"));
}

/** A cross where the map is greatest. */
function peakMark({ argmax: { film: { x, y } }, image }: ResultRecord): Html {
  const arm = Math.max(image.width, image.height) / 36;
  const path = `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`;
  return html`<path d="${path}" stroke="#000" stroke-opacity="0.6" stroke-width="5" vector-effect="non-scaling-stroke"/><path d="${path}" stroke="#ff0" stroke-width="2.5" vector-effect="non-scaling-stroke"/>`;
}

function phraseWords({ words }: ResultRecord): Html[] {
  return words.map(({ text, kept, why }) => html`<span class="${kept ? "kept" : "left"}" title="${why}">${text}</span> `);
}

function wordPictures({ words }: ResultRecord, thumbnails: Thumbnails): Html[] {
  return thumbnails.words.map((href, i) => html`<figure><img src="${href}" alt="map of “${words[i].text}”">${words[i].text}</figure>`);
}

function facts({ s, argmax, image, reference, boxes, map }: ResultRecord): Html[] {
  const peak = describePoint(argmax.film, image);
  const verdict = reference && (reference.peakInside ? html` <span class="inside">in the box</span>` : html` <span class="outside">outside the box</span>`);
  const covered = boxes.reduce((sum, { area }) => sum + area, 0) / map.imageSize ** 2;
  return [
    html`<div><dt>peak</dt><dd>${peak}${verdict}</dd></div>`,
    ...(s === undefined ? [] : [html`<div title="similarity of image bias and text bias: how far they are merged"><dt>s</dt><dd>${s.toFixed(3)}</dd></div>`]),
    html`<div><dt>mask</dt><dd>${(100 * covered).toFixed(0)} % of the image</dd></div>`,
  ];
}

function wordTable({ words }: ResultRecord): Html {
  const rows = words.map(({ text, kept, why }) => html`<tr><td>${text}</td><td>${kept ? "kept" : "left out"}</td><td class="quiet">${why}</td></tr>`);
  return html`<table><tbody>${rows}</tbody></table>`;
}

function regionTable({ boxes, mixture, threshold }: ResultRecord): Html {
  const rows = boxes.map(({ film: { x, y, w, h }, meanActivation }) => {
    const cells = [x, y, w, h].map((value) => html`<td class="number">${value.toFixed(0)}</td>`);
    return html`<tr>${cells}<td class="number">${meanActivation.toFixed(3)}</td></tr>`;
  });
  const heads = ["x", "y", "width", "height", "mean activation"].map((name) => html`<th class="number">${name}</th>`);
  const means = mixture.means.map((mean) => mean.toFixed(3)).join(" and ");
  return html`<table><thead><tr>${heads}</tr></thead><tbody>${rows}</tbody></table><p class="note quiet">Above ${threshold.toFixed(3)}, the middle of the mixture's means ${means}.</p>`;
}

function fileLinks(folder: string, { words }: Thumbnails): Html[] {
  const names = ["overlay.png", "heat.png", "mask.png", ...(words.length > 0 ? ["words.png"] : []), "map.npy", "result.json"];
  return names.map((name) => html`<a href="${encodeURIComponent(folder)}/${name}">${name.replace(".png", "")}</a> `);
}
