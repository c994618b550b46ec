import sharp from "sharp";
import { writeFileAtomically } from "../weights/atomic_file_node.ts";
import type { Picture } from "./draw.ts";
import type { Film } from "./film.ts";
import { loadLabelDrawer } from "./label_font_node.ts";
import { toNpy } from "./npy.ts";
import { wordsSvg, type WordPanel } from "./words_svg.ts";

/** Longer side of one word's overlay in a strip, in pixels. */
const PANEL_SIDE = 320;

/**
 * Writes a picture as PNG, under its name only when it is complete; shrunk where a side is longer than `most` pixels.
 * @throws InputError where it cannot be written
 */
export async function writePng(path: string, picture: Picture, most = Infinity): Promise<void> {
  const image = toSharp(picture);
  const isLarge = Math.max(picture.width, picture.height) > most;
  await writeBytes(path, await (isLarge ? image.resize(most, most, { fit: "inside" }) : image).png().toBuffer());
}

/** Writes a film as PNG in its own channels, under its name only when it is complete. @throws InputError where it cannot be written */
export async function writeFilmPng(path: string, { width, height, channels, data }: Film): Promise<void> {
  await writeBytes(path, await sharp(data, { raw: { width, height, channels } }).png().toBuffer());
}

/** Writes float32 values as a NumPy file, under its name only when it is complete. @throws InputError where it cannot be written */
export async function writeNpy(path: string, values: Float32Array, shape: readonly number[]): Promise<void> {
  await writeBytes(path, toNpy(values, shape));
}

/**
 * Writes the overlays of single words side by side, each with its word below, as PNG.
 * @throws InputError where it cannot be written
 */
export async function writeWordsPng(path: string, words: readonly { word: string; picture: Picture }[]): Promise<void> {
  const panels = await Promise.all(words.map(({ word, picture }) => toPanel(word, picture)));
  const svg = wordsSvg(panels, await loadLabelDrawer());
  await writeBytes(path, await sharp(Buffer.from(svg), { unlimited: true }).png().toBuffer());
}

async function toPanel(word: string, picture: Picture): Promise<WordPanel> {
  const shrunk = toSharp(picture).resize(PANEL_SIDE, PANEL_SIDE, { fit: "inside" });
  const { data, info } = await shrunk.png().toBuffer({ resolveWithObject: true });
  return { word, width: info.width, height: info.height, href: `data:image/png;base64,${data.toString("base64")}` };
}

function toSharp({ width, height, data }: Picture) {
  return sharp(data, { raw: { width, height, channels: 4 }, limitInputPixels: false });
}

/** Writes a file, under its name only when it is complete. @throws InputError where it cannot be written */
export function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  return writeFileAtomically(path, (sink) => sink.write(bytes));
}
