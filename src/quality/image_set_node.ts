import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { decodeFilm, readFilmBytes } from "../data/decode_node.ts";
import { InputError } from "../errors.ts";
import { groupBy } from "../group_by.ts";
import type { SetImage } from "./image_statistics.ts";

/** Files that are taken for images. */
const imageName = /\.(png|jpe?g|dcm)$/i;

/** Paths of the images in a folder and the folders in it, in order. Throws InputError where there are none. */
export async function listImages(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new InputError(folder, `is not a folder that can be read (${cause.code}); name a folder of images`, { cause });
  });
  const paths = entries.filter((entry) => entry.isFile() && imageName.test(entry.name)).map(({ parentPath, name }) => join(parentPath, name));
  if (paths.length < 2) throw new InputError(folder, `holds ${paths.length === 0 ? "no" : "one"} PNG, JPEG or DICOM file; a distribution takes many images`);
  return paths.sort();
}

/** Paths by the folder that they lie in: where images of one prompt have a folder of their own, those are compared. */
export function groupByFolder(paths: readonly string[]): string[][] {
  return [...groupBy(paths, (path) => dirname(path)).values()];
}

/** Image files, each read when its turn comes. `onSkip` is told of those that cannot be read; they are left out. */
export async function* readImages(paths: readonly string[], onSkip: (path: string, fact: string) => void): AsyncGenerator<SetImage> {
  for (const path of paths) {
    const bytes = await readFilmBytes(path).catch((error: unknown) => {
      if (!(error instanceof InputError)) throw error;
      onSkip(path, error.message);
      return undefined;
    });
    if (!bytes) continue;
    yield { name: path, sha256: createHash("sha256").update(bytes).digest("hex"), film: () => decodeFilm(bytes, path) };
  }
}
