import { stat } from "node:fs/promises";
import { InputError } from "../../errors.ts";
import { readFilm } from "../decode_node.ts";
import type { DatasetFile } from "./find_node.ts";
import type { DataProblem, DataSample } from "./layout.ts";
import { readDataset } from "./open_node.ts";
import { isOutside, outsideFact } from "./row_checks.ts";

/** Options of `checkDataset`. */
export interface CheckOptions {
  /** The folder that the paths of the images start from; that of the CSV file where absent. */
  readonly images?: string;
  /** Whether images are decoded, or only looked for. */
  readonly decode: boolean;
  /** Ends the check before the next image; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called with every problem as it is found. */
  readonly onProblem: (problem: DataProblem) => void;
  /** Called before every image. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What was checked. */
export interface CheckReport {
  /** Samples that the table gave: rows that cannot be understood are not among them. */
  readonly samples: number;
  /** Distinct image files that these samples name, whether they are there or not. */
  readonly images: number;
  /** Boxes of these samples. */
  readonly boxes: number;
  /** How often `onProblem` was called: 0 where nothing is wrong. */
  readonly problems: number;
}

/**
 * Finds everything that is wrong with a data set: first with its table, then with its images, each of which is looked
 * at once.
 */
export async function checkDataset(dataset: DatasetFile, { images, decode, signal, onProblem, onProgress }: CheckOptions): Promise<CheckReport> {
  const { file } = dataset;
  let problems = 0;
  const tell = (problem: DataProblem) => {
    problems++;
    onProblem(problem);
  };
  const samples: DataSample[] = [];
  for await (const sample of readDataset(dataset, { images, onProblem: tell })) samples.push(sample);
  if (samples.length === 0 && problems === 0) tell({ file, line: 1, fact: "has no rows" });
  const looked = new Map<string, Look>();
  for (const [done, sample] of samples.entries()) {
    signal?.throwIfAborted();
    onProgress?.(done, samples.length);
    const { imagePath, line } = sample;
    if (!looked.has(imagePath)) looked.set(imagePath, await lookAt(imagePath, decode));
    const { fault, size } = looked.get(imagePath) as Look;
    if (fault) tell({ file, line, fact: fault });
    else if (size) for (const fact of sizeFacts(sample, size)) tell({ file, line, fact });
  }
  const boxes = samples.reduce((sum, sample) => sum + sample.boxes.length, 0);
  return { samples: samples.length, images: looked.size, boxes, problems };
}

/** What an image is found to be: its size where it was decoded, or what is wrong with it. */
interface Look {
  readonly size?: Size;
  readonly fault?: string;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

async function lookAt(path: string, decode: boolean): Promise<Look> {
  if (!decode) {
    const isFile = await stat(path).then((entry) => entry.isFile(), () => false);
    return isFile ? {} : { fault: `${path}: no such file` };
  }
  try {
    const { width, height } = await readFilm(path);
    return { size: { width, height } };
  } catch (error) {
    if (error instanceof InputError) return { fault: error.message };
    throw error;
  }
}

/** What of a sample does not fit its decoded image: the size that the table states, or the boxes where it states none. */
export function sizeFacts({ imagePath, statedSize, boxes }: DataSample, { width, height }: Size): string[] {
  if (!statedSize) return boxes.filter((box) => isOutside(box, width, height)).map((box) => `${imagePath}: ${outsideFact(box)}`);
  const isAsStated = statedSize[0] === width && statedSize[1] === height;
  return isAsStated ? [] : [`${imagePath}: has ${width} x ${height} pixels, the table says ${statedSize.join(" x ")}`];
}
