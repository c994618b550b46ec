import { type MetricName, type RowMetrics } from "../eval/row.ts";
import { type Html, html } from "../report/html.ts";

/** A picture in the page, which opens on a click: a data URL, and what it shows. */
export interface PagePicture {
  readonly name: string;
  readonly url: string;
}

/** A film of figure 2 with the map of each word of its phrase. */
export interface WordMaps {
  readonly phrase: string;
  readonly label: string;
  /** The film with its boxes, then a map a word. */
  readonly pictures: readonly (PagePicture & { readonly quiet?: boolean })[];
}

/** A film of figure 3 with the maps of several methods and controls. */
export interface MethodMaps {
  readonly phrase: string;
  readonly label: string;
  readonly pictures: readonly (PagePicture & { readonly metrics?: RowMetrics })[];
}

/** One sample of the evaluation. */
export interface SamplePictures {
  readonly image: string;
  readonly phrase: string;
  readonly label: string;
  readonly pictures: readonly PagePicture[];
  /** Of the merged map and of the one before merging. */
  readonly merged: RowMetrics;
  readonly plain: RowMetrics;
}

/** Samples whose merged map is worst first: peaks outside of the boxes, then by contrast. */
export function failuresFirst(samples: readonly SamplePictures[]): SamplePictures[] {
  const keys = ({ merged }: SamplePictures) => [merged.top1 ?? -1, merged.cnr ?? -Infinity];
  return [...samples].sort((a, b) => {
    const [[peakA, cnrA], [peakB, cnrB]] = [keys(a), keys(b)];
    return peakA - peakB || cnrA - cnrB;
  });
}

/** Figure 2. */
export function wordFigure(films: readonly WordMaps[]): Html {
  return html`<div class="films">${films.map(({ phrase, label, pictures }) => html`<div class="film-row"><p class="note"><b>${phrase}</b> <span class="quiet">${label}</span></p><div class="strip-of">${pictures.map(({ quiet, ...of }) => picture(of, `${phrase}: ${of.name}`, html`<span class="${quiet && "quiet"}">${of.name}</span>`))}</div></div>`)}</div>`;
}

/** Figure 3. */
export function methodFigure(films: readonly MethodMaps[]): Html {
  return html`<p class="note quiet">White: the boxes. Magenta: the mask. CNR in <span class="inside">green</span> where the map's peak lies in a box, in <span class="outside">red</span> where not.</p><div class="films">${films.map(({ phrase, label, pictures }) => html`<div class="film-row"><p class="note"><b>${phrase}</b> <span class="quiet">${label}</span></p><div class="strip-of">${pictures.map((of) => picture(of, `${phrase}: ${of.name}`, html`${of.name}${of.metrics && html`<br><span class="${verdictClass(of.metrics)}">CNR ${shown(of.metrics.cnr)}</span>`}`))}</div></div>`)}</div>`;
}

const sampleMetrics: readonly (readonly [MetricName, string])[] = [["cnr", "CNR"], ["miou", "mIoU"], ["aucRoc", "AUC-ROC"]];

/** All samples as a table that sorts and is searched, failures first. */
export function sampleTable(samples: readonly SamplePictures[]): Html {
  const heads = ["maps", "phrase", "finding", "peak", ...sampleMetrics.map(([, name]) => name), "CNR before merging"];
  const rows = failuresFirst(samples).map((sample, i) => {
    const { image, phrase, label, pictures, merged, plain } = sample;
    const numbers = [...sampleMetrics.map(([metric]) => merged[metric]), plain.cnr];
    return html`<tr><td data-value="${i}"><div class="strip-of">${pictures.map((of) => picture(of, `${image}, ${phrase}: ${of.name}`, undefined))}</div></td><td>${phrase}<br><span class="quiet">${image}</span></td><td>${label}</td><td class="${verdictClass(merged)}">${merged.top1 === null ? "not defined" : merged.top1 ? "in the box" : "outside"}</td>${numbers.map((value) => html`<td class="number" data-value="${value ?? ""}">${shown(value)}</td>`)}</tr>`;
  });
  return html`<input class="scripted" type="search" placeholder="search phrases and findings" data-filters="samples"><div class="wide"><table class="measures" id="samples"><thead><tr>${heads.map((head, i) => html`<th class="${i > 3 && "number"}">${head}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function picture({ url, name }: PagePicture, title: string, caption: Html | undefined): Html {
  return html`<figure><img class="opens" decoding="async" src="${url}" alt="${name}" title="${title}">${caption && html`<figcaption>${caption}</figcaption>`}</figure>`;
}

function verdictClass({ top1 }: RowMetrics): string {
  return top1 ? "inside" : "outside";
}

function shown(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}

/** Style of the pictures. */
export const pictureStyle = `
.strip-of { display: flex; flex-wrap: wrap; gap: 6px; }
.strip-of figure { margin: 0; width: 104px; font-size: 0.78rem; line-height: 1.3; }
.strip-of img { display: block; width: 104px; height: 104px; object-fit: contain; background: #000; border-radius: 3px; }
#samples .strip-of { flex-wrap: nowrap; }
#samples .strip-of figure, #samples .strip-of img { width: 76px; height: 76px; }
.films { margin-top: 12px; }
.film-row { margin: 0 0 14px; }
.film-row .note { margin: 0 0 4px; }
img.opens { cursor: zoom-in; }
dialog { border: 0; border-radius: 8px; padding: 12px; background: var(--card); color: var(--text); max-width: 95vw; }
dialog img { display: block; width: min(85vmin, 900px); height: min(85vmin, 900px); object-fit: contain; background: #000; }
dialog::backdrop { background: rgb(0 0 0 / 0.7); }
`;

/** Opens the picture that is clicked; a click or Escape closes it. Plain JavaScript. */
export const pictureScript = `
const opened = document.createElement("dialog");
opened.append(document.createElement("img"), document.createElement("p"));
document.body.append(opened);
opened.addEventListener("click", () => opened.close());
document.addEventListener("click", ({ target }) => {
  if (!target.matches("img.opens")) return;
  opened.querySelector("img").src = target.src;
  opened.querySelector("p").textContent = target.title;
  opened.showModal();
});
`;
