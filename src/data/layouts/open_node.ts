import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError } from "../../errors.ts";
import { readCsv } from "./csv_node.ts";
import type { DataProblem, DataSample, Layout, RowValues, Split } from "./layout.ts";
import { mimicLayout } from "./mimic_cxr.ts";
import { msCxrLayout } from "./ms_cxr.ts";

/** The layouts that can be read. */
export const layouts: readonly Layout[] = [mimicLayout, msCxrLayout];

/** A folder with a data set of a known layout. */
export interface DatasetFile {
  readonly folder: string;
  /** Path of the CSV file. */
  readonly file: string;
  readonly layout: Layout;
}

export interface OpenDatasetOptions {
  /** The folder that the paths of the images start from; that of the CSV file where absent. */
  readonly images?: string;
  /** Only this split. */
  readonly split?: Split;
  /** Told of what is wrong with the data set, which is then left out; without it the first problem is thrown. */
  readonly onProblem?: (problem: DataProblem) => void;
}

/** The samples of a data set in the order of its file, read anew by every iteration. */
export interface Dataset extends AsyncIterable<DataSample>, DatasetFile {}

/**
 * Opens a data set in the MIMIC-CXR-JPG or MS-CXR layout; which one its file's name tells. Only the table is read:
 * whether the images are there and can be decoded shows when they are.
 * @param location the folder, or the CSV file where a folder has several
 * @throws InputError where there is no data set; while iterating, for the first problem where `onProblem` is absent
 */
export async function openDataset(location: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const [dataset, another] = await findDatasets(location);
  if (!dataset) throw new InputError(location, `holds no data set; it needs ${expectedFiles()}`);
  if (another) throw new InputError(location, `holds several data sets; name one of ${basename(dataset.file)} and ${basename(another.file)}`);
  return readDataset(dataset, options);
}

/** A data set whose file was found. */
export function readDataset(dataset: DatasetFile, options: OpenDatasetOptions = {}): Dataset {
  return { ...dataset, [Symbol.asyncIterator]: () => readSamples(dataset, options) };
}

/**
 * The data sets of a folder, at most one of each layout: its newest version. Or that of a CSV file.
 * @throws InputError where the folder cannot be read
 */
export async function findDatasets(location: string): Promise<DatasetFile[]> {
  const byName = layouts.find((layout) => layout.file.test(basename(location)));
  if (byName) return [{ folder: dirname(location), file: location, layout: byName }];
  const names = await readdir(location).catch((cause: NodeJS.ErrnoException) => {
    throw new InputError(location, `is not a folder that can be read (${cause.code}); name a folder with a data set`, { cause });
  });
  return layouts.flatMap((layout) => {
    const name = names.filter((entry) => layout.file.test(entry)).sort().at(-1);
    return name ? [{ folder: location, file: join(location, name), layout }] : [];
  });
}

/** What the files of the known layouts are called. */
export function expectedFiles(): string {
  return layouts.map(({ fileName, name }) => `${fileName} (${name})`).join(" or ");
}

async function* readSamples(dataset: DatasetFile, { images = dataset.folder, split, onProblem }: OpenDatasetOptions): AsyncGenerator<DataSample> {
  const { file, layout } = dataset;
  const tell = (line: number, fact: string) => {
    if (!onProblem) throw new InputError(`${file}:${line}`, `${fact}; attnscope data check lists all problems`);
    onProblem({ file, line, fact });
  };
  const joined = new Map<string, DataSample>();
  const spoiled = new Set<string>();
  for await (const { line, values } of readRows(dataset, tell)) {
    const key = layout.sampleKey?.(values);
    const reading = layout.readRow(values);
    if ("facts" in reading) {
      for (const fact of reading.facts) tell(line, fact);
      if (key !== undefined) spoiled.add(key);
      continue;
    }
    const { path, ...rest } = reading.sample;
    if (split && rest.split !== split) continue;
    const sample = { ...rest, imagePath: join(images, path), line };
    if (key === undefined) yield sample;
    else joined.set(key, withBoxes(joined.get(key), sample));
  }
  // A text that lost one of its boxes would be measured against the wrong place.
  for (const [key, sample] of joined) if (!spoiled.has(key)) yield sample;
}

function withBoxes(earlier: DataSample | undefined, sample: DataSample): DataSample {
  return earlier ? { ...earlier, boxes: [...earlier.boxes, ...sample.boxes] } : sample;
}

/** The rows of the table that are whole and not there already. */
async function* readRows({ file, layout }: DatasetFile, tell: (line: number, fact: string) => void): AsyncGenerator<{ line: number; values: RowValues }> {
  const seen = new Map<string, number>();
  let header: readonly string[] | undefined;
  for await (const record of readCsv(file)) {
    if ("fact" in record) {
      tell(record.line, record.fact);
    } else if (!header) {
      header = record.fields.map((name) => name.trim());
      const missing = layout.columns.filter((column) => !header?.includes(column));
      if (missing.length > 0) return tell(record.line, `lacks columns of the ${layout.name} layout: ${missing.join(", ")}`);
    } else if (record.fields.length !== header.length) {
      tell(record.line, `has ${record.fields.length} fields where the header has ${header.length}`);
    } else {
      const values = Object.fromEntries(header.map((name, i) => [name, record.fields[i].trim()]));
      const { key, name } = layout.identity(values);
      const first = seen.get(key);
      if (first === undefined || key === "") yield { line: record.line, values };
      else tell(record.line, `${name} is there already, on line ${first}`);
      seen.set(key, first ?? record.line);
    }
  }
  if (!header) tell(1, "is empty");
}
