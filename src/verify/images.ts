import { isPng } from "../data/png.ts";
import type { Film } from "../data/film.ts";
import { InputError } from "../errors.ts";
import type { VerifyContext } from "./context.ts";

/** Where goldens keep the images that they name. */
const imageFolders = ["", "images/", "../images/"];

/** An image that a golden names. `exact`: all decoders agree on its pixels, where others differ by a grey level. */
export async function findFilm({ folder, platform }: VerifyContext, name: string): Promise<{ film: Film; exact: boolean }> {
  for (const directory of imageFolders) {
    if (!(await folder.has(directory + name))) continue;
    const source = await folder.open(directory + name);
    try {
      const bytes = await source.read(0, source.size);
      return { film: await platform.decodeFilm(bytes, source.name), exact: isPng(bytes) };
    } finally {
      await source.close();
    }
  }
  throw new InputError(`${folder.name}/${name}`, `the image is missing; put it there, or into ${folder.name}/images or ${folder.name}/../images`);
}
