import { readdir } from "node:fs/promises";
import { basename, isAbsolute, join } from "node:path";
import { InputError } from "../../errors.ts";
import { type DatasetFile, type DatasetName, expectedFiles, findDatasets } from "./find_node.ts";
import type { DataProblem, DataSample, Layout, Split } from "./layout.ts";
import { readRows } from "./table_node.ts";

/** Options of `openDataset`. */
export interface OpenDatasetOptions {
  /** What the data set is; its table's name tells where absent. */
  readonly dataset?: DatasetName;
  /** The folder that the paths of the images start from; that of the table where absent. */
  readonly images?: string;
  /** Only this split. */
  readonly split?: Split;
  /** Told of what is wrong with the data set, which is then left out; without it the first problem is thrown. */
  readonly onProblem?: (problem: DataProblem) => void;
}

/** The samples of a data set in the order of its file, read anew by every iteration. */
export interface Dataset extends AsyncIterable<DataSample>, DatasetFile {}

/**
 * Opens a data set. Only the table is read: whether the images are there and can be decoded shows when they are.
 * @param location the folder, or the table where a folder has several
 * @throws InputError where there is no data set; while iterating, for the first problem where `onProblem` is absent
 */
export async function openDataset(location: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const [dataset, another] = await findDatasets(location, options.dataset);
  if (!dataset) throw new InputError(location, `holds no data set; it needs ${expectedFiles(options.dataset)}`);
  if (another) throw new InputError(location, `holds several data sets; name one of ${basename(dataset.file)} and ${basename(another.file)}`);
  return readDataset(dataset, options);
}

/** A data set whose file was found. */
export function readDataset(dataset: DatasetFile, options: OpenDatasetOptions = {}): Dataset {
  return { ...dataset, [Symbol.asyncIterator]: () => readSamples(dataset, options) };
}

async function* readSamples({ file, folder, layout }: DatasetFile, { images = folder, split, onProblem }: OpenDatasetOptions): AsyncGenerator<DataSample> {
  const tell = (line: number, fact: string) => {
    if (!onProblem) throw new InputError(`${file}:${line}`, `${fact}; attnscope data check lists all problems`);
    onProblem({ file, line, fact });
  };
  const locate = await imageLocator(layout, images);
  const joined = new Map<string, DataSample>();
  const spoiled = new Set<string>();
  for await (const { line, values, form } of readRows(file, layout, tell)) {
    const key = form.sampleKey?.(values);
    const reading = form.readRow(values);
    if ("facts" in reading) {
      for (const fact of reading.facts) tell(line, fact);
      if (key !== undefined) spoiled.add(key);
      continue;
    }
    const { path, ...rest } = reading.sample;
    if (split && rest.split !== split) continue;
    const sample = { ...rest, imagePath: locate(path), line };
    if (key === undefined) yield sample;
    else joined.set(key, withBoxes(joined.get(key), sample));
  }
  // A text that lost one of its boxes would be measured against the wrong place.
  for (const [key, sample] of joined) if (!spoiled.has(key)) yield sample;
}

function withBoxes(earlier: DataSample | undefined, sample: DataSample): DataSample {
  return earlier ? { ...earlier, boxes: [...earlier.boxes, ...sample.boxes] } : sample;
}

/** Where the image of a path in the table is, or would have to be. */
async function imageLocator({ imageFolders }: Layout, images: string): Promise<(path: string) => string> {
  const found = new Map<string, string>();
  if (imageFolders) {
    for (const name of await namesIn(images)) {
      if (!imageFolders.test(name)) continue;
      for (const folder of [join(images, name), join(images, name, "images")]) {
        for (const image of await namesIn(folder)) found.set(image, join(folder, image));
      }
    }
  }
  return (path) => found.get(path) ?? (isAbsolute(path) ? path : join(images, path));
}

/** The names in a folder; none where it is not there. */
function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
