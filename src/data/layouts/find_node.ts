import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError } from "../../errors.ts";
import { chestXray14Layout } from "./chest_xray14.ts";
import type { Layout } from "./layout.ts";
import { mimicLayout } from "./mimic_cxr.ts";
import { msCxrLayout } from "./ms_cxr.ts";
import { plainLayout } from "./plain.ts";

/** The layouts whose tables have names of their own. */
const namedLayouts: readonly Layout[] = [mimicLayout, msCxrLayout, chestXray14Layout];

/** The data sets by their names on the command line. */
const datasets = {
  "ms-cxr": msCxrLayout,
  "mimic-cxr-jpg": mimicLayout,
  chestxray14: chestXray14Layout,
  csv: plainLayout,
  phantom: msCxrLayout,
} as const satisfies Readonly<Record<string, Layout>>;

/** A data set's name on the command line. */
export type DatasetName = keyof typeof datasets;

export const datasetNames = Object.keys(datasets) as DatasetName[];

/** The folder of a phantom that is evaluated unless another is named: films of one finding. */
const PHANTOM_TEST = "ms-cxr";

/** A folder with a data set of a known layout. */
export interface DatasetFile {
  /** The folder that the table lies in, where paths of images start unless another is named. */
  readonly folder: string;
  /** Path of the table. */
  readonly file: string;
  /** The layout that the table is read by: that of the name asked for, else the one that its file name fits. */
  readonly layout: Layout;
}

/**
 * The data sets of a folder, one of each layout; or that of a table which is named itself.
 * @param name the one that is looked for
 * @throws InputError where the folder cannot be read
 */
export async function findDatasets(location: string, name?: DatasetName): Promise<DatasetFile[]> {
  const isPhantom = name === "phantom" && (await isThere(join(location, PHANTOM_TEST), "folder"));
  const folder = isPhantom ? join(location, PHANTOM_TEST) : location;
  const wanted = name && datasets[name];
  if (await isThere(location, "file")) {
    const layout = wanted ?? [...namedLayouts, plainLayout].find(({ files }) => files.some((file) => file.test(basename(location))));
    return layout ? [{ folder: dirname(location), file: location, layout }] : [];
  }
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    throw new InputError(folder, `is not a folder or table that can be read (${cause.code}); name one with a data set`, { cause });
  });
  const tables = (layout: Layout) => tablesIn(names, layout).map((table) => ({ folder, file: join(folder, table), layout }));
  if (wanted) return wanted === plainLayout ? tables(wanted) : tables(wanted).slice(0, 1);
  const named = namedLayouts.flatMap((layout) => tables(layout).slice(0, 1));
  return named.length > 0 ? named : tables(plainLayout);
}

async function isThere(path: string, what: "file" | "folder"): Promise<boolean> {
  return stat(path).then((entry) => (what === "file" ? entry.isFile() : entry.isDirectory()), () => false);
}

/** The names that a layout's table may have, the preferred first. */
function tablesIn(names: readonly string[], { files }: Layout): string[] {
  return files.flatMap((file) => names.filter((entry) => file.test(entry)).sort().reverse());
}

/** What is looked for where nothing is found. */
export function expectedFiles(name?: DatasetName): string {
  const layouts = name ? [datasets[name]] : [...namedLayouts, plainLayout];
  return layouts.map(({ fileName, name: layout }) => `${fileName} (${layout})`).join(" or ");
}
