import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import opentype from "opentype.js";
import type { LabelDrawer } from "./words_svg.ts";

/**
 * A drawer of labels as outlines of the Lato font, which comes with the package: a bare machine has no font at all, and
 * outlines look alike everywhere.
 */
export async function loadLabelDrawer(): Promise<LabelDrawer> {
  const path = createRequire(import.meta.url).resolve("@fontsource/lato/files/lato-latin-400-normal.woff");
  const font = opentype.parse(Uint8Array.from(await readFile(path)).buffer);
  return (text, x, y, fontSize, width) => {
    const fitted = fontSize * Math.min(1, width / font.getAdvanceWidth(text, fontSize));
    const left = x - font.getAdvanceWidth(text, fitted) / 2;
    return `<path d="${font.getPath(text, left, y, fitted).toPathData(2)}"/>`;
  };
}
