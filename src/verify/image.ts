import type { Film } from "../data/film.ts";
import { type Box, boxMask, planPreprocess } from "../data/preprocess.ts";
import { prepareImage } from "../grounding/prepare_image.ts";
import { mapBound, outputBound } from "./bounds.ts";
import type { Golden, VerifyContext } from "./context.ts";
import { type GoldenFile, type HostTensor, readGoldenFile } from "./golden_file.ts";
import { findFilm } from "./images.ts";
import { type Part, absolutePart, exactPart, relativePart } from "./parts.ts";

interface ImageCase {
  name: string;
  size_hw: [height: number, width: number];
  resized_hw: [height: number, width: number];
  boxes: Box[];
  mean: number;
  std: number;
  boxmask_sum: number;
}

/** Resize and centre crop of films and their box masks, as torchvision makes them. */
export const imageGolden: Golden = {
  name: "image",
  paths: ["image.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    const parts: Part[] = [];
    for (const facts of golden.fact<ImageCase[]>("cases")) {
      context.signal?.throwIfAborted();
      parts.push(...(await caseParts(context, golden, facts)));
    }
    return parts;
  },
};

/** The goldens keep every 73rd row and column. */
const kept = 73;
/** A grey level in [-1, 1]: decoders of JPEG differ by it here and there. */
const greyLevel = 2 / 255;

async function caseParts(context: VerifyContext, golden: GoldenFile, { name, size_hw, resized_hw, boxes, mean, std, boxmask_sum }: ImageCase): Promise<Part[]> {
  const { film, exact } = wave(name) ?? (await findFilm(context, name));
  const [rows, columns, maskRows] = ["rows", "cols", "boxmask.rows"].map((what) => golden.tensor(`${name}.${what}`));
  const size = rows.shape[2];
  const plan = planPreprocess(film.width, film.height, size);
  const image = prepareImage(film, size);
  const mask = boxMask(boxes, plan);
  const pixels = exact ? outputBound : greyLevel;
  const moments = momentsOf(image, rows.shape[0]);
  return [
    exactPart(`${name} size`, [film.height, film.width, plan.resizedHeight, plan.resizedWidth], [...size_hw, ...resized_hw]),
    absolutePart(`${name} rows`, sample(image, rows, (c, i, x) => (kept * i * size + x) * 3 + c), rows.data, pixels),
    absolutePart(`${name} columns`, sample(image, columns, (c, y, i) => (y * size + kept * i) * 3 + c), columns.data, pixels),
    // A decoder's grey levels here and there hardly move a mean over all pixels.
    absolutePart(`${name} mean and deviation`, moments, [mean, std], exact ? outputBound : mapBound),
    absolutePart(`${name} box mask`, sample(mask, maskRows, (_, i, x) => kept * i * size + x), maskRows.data, outputBound),
    relativePart(`${name} box mask's sum`, [mask.reduce((sum, value) => sum + value, 0)], [boxmask_sum], outputBound),
  ];
}

/** The values of an image that stand in a golden [C, rows, columns]. */
function sample(image: Float32Array, { data, shape: [, rows, columns] }: HostTensor, place: (channel: number, row: number, column: number) => number): Float32Array {
  return Float32Array.from(data, (_, i) => image[place(Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns)]);
}

/** Mean and unbiased standard deviation of the first channels of an image [size, size, 3]. */
function momentsOf(image: Float32Array, channels: number): [mean: number, std: number] {
  const values = image.filter((_, i) => i % 3 < channels);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, Math.sqrt(squares / (values.length - 1))];
}

/** The film that a name such as wave0_700x513 stands for: round(127 + 60 sin(x / 17 + i) + 60 cos(y / 23)). */
function wave(name: string): { film: Film; exact: boolean } | undefined {
  const match = /^wave(\d+)_(\d+)x(\d+)$/.exec(name);
  if (!match) return undefined;
  const [phase, height, width] = match.slice(1).map(Number);
  const data = Uint8Array.from({ length: height * width }, (_, i) => Math.round(127 + 60 * Math.sin((i % width) / 17 + phase) + 60 * Math.cos(Math.floor(i / width) / 23)));
  return { film: { name, width, height, channels: 1, data, notes: [] }, exact: true };
}
