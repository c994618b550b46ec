import { stat } from "node:fs/promises";
import { InputError } from "../../errors.ts";
import { readFilm } from "../decode_node.ts";
import type { DataProblem, DataSample } from "./layout.ts";
import { type DatasetFile, readDataset } from "./open_node.ts";

export interface CheckOptions {
  /** The folder that the paths of the images start from; that of the CSV file where absent. */
  readonly images?: string;
  /** Whether images are decoded, or only looked for. */
  readonly decode: boolean;
  readonly signal?: AbortSignal;
  readonly onProblem: (problem: DataProblem) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/** What was checked. */
export interface CheckReport {
  readonly samples: number;
  readonly images: number;
  readonly boxes: number;
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
  const looked = new Map<string, string | undefined>();
  for (const [done, sample] of samples.entries()) {
    signal?.throwIfAborted();
    onProgress?.(done, samples.length);
    const { imagePath, line } = sample;
    if (!looked.has(imagePath)) looked.set(imagePath, await imageFault(sample, decode));
    const fault = looked.get(imagePath);
    if (fault) tell({ file, line, fact: fault });
  }
  const boxes = samples.reduce((sum, sample) => sum + sample.boxes.length, 0);
  return { samples: samples.length, images: looked.size, boxes, problems };
}

/** What is wrong with a sample's image, if anything. */
async function imageFault({ imagePath, statedSize }: DataSample, decode: boolean): Promise<string | undefined> {
  if (!decode) {
    const isFile = await stat(imagePath).then((entry) => entry.isFile(), () => false);
    return isFile ? undefined : `${imagePath}: no such file`;
  }
  try {
    const { width, height } = await readFilm(imagePath);
    if (!statedSize || (statedSize[0] === width && statedSize[1] === height)) return undefined;
    return `${imagePath}: has ${width} x ${height} pixels, the table says ${statedSize.join(" x ")}`;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}
