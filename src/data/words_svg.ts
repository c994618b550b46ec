import type { Sides } from "./resize.ts";

/** One word's overlay in a strip of them. */
export interface WordPanel extends Sides {
  readonly word: string;
  /** URL of the overlay, a data URL as a rule. */
  readonly href: string;
}

/** Draws a line of text centred at `x`, its baseline at `y`, no wider than `width`, as an SVG element. */
export type LabelDrawer = (text: string, x: number, y: number, fontSize: number, width: number) => string;

/** Panels of one row; longer phrases go on below. */
const COLUMNS = 6;
const GAP = 8;
const FONT_SIZE = 22;
const LABEL_HEIGHT = 36;

/**
 * The overlays of a phrase's words side by side, each with its word below, as figure 2 of the paper shows them.
 * @returns an SVG document
 */
export function wordsSvg(panels: readonly WordPanel[], drawLabel: LabelDrawer = textLabel): string {
  const cellWidth = Math.max(...panels.map(({ width }) => width)) + GAP;
  const cellHeight = Math.max(...panels.map(({ height }) => height)) + LABEL_HEIGHT + GAP;
  const columns = Math.min(panels.length, COLUMNS);
  const width = columns * cellWidth + GAP;
  const height = Math.ceil(panels.length / columns) * cellHeight + GAP;
  const cells = panels.map((panel, i) => {
    const left = GAP + (i % columns) * cellWidth;
    const top = GAP + Math.floor(i / columns) * cellHeight;
    const image = `<image x="${left}" y="${top}" width="${panel.width}" height="${panel.height}" href="${escapeXml(panel.href)}"/>`;
    return image + drawLabel(panel.word, left + panel.width / 2, top + panel.height + FONT_SIZE + 2, FONT_SIZE, panel.width);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="white"/>${cells.join("")}</svg>`;
}

/** A label in the viewer's own font: for browsers, which always have one. */
export function textLabel(text: string, x: number, y: number, fontSize: number, width: number): string {
  const fitted = Math.min(fontSize, (1.6 * width) / Math.max(text.length, 1));
  return `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${fitted}" text-anchor="middle">${escapeXml(text)}</text>`;
}

function escapeXml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  // Control characters are not allowed in XML at all.
  return text.replace(/[&<>"]/g, (character) => entities[character]).replace(/[\u0000-\u001f\ufffe\uffff]/g, " ");
}
