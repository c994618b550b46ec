import { cp, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { InputError } from "../errors.ts";
import { LORA_FOLDER } from "../models/lora.ts";
import { findTextEncoder } from "../models/text_encoder_folder.ts";
import { tokenizerFileNames } from "../text/tokenizer_files.ts";
import { onDisk, writeFolderAtomically } from "../weights/atomic_file_node.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import { emaFolder } from "./checkpoint.ts";

/** The parts of a model that are trained, with their averages, and what else belongs to one in the diffusers layout. */
const trainedFolders = ["unet", LORA_FOLDER, "vae", "text_encoder"].flatMap((part) => [part, emaFolder(part)]);
const modelFolders: readonly string[] = [...trainedFolders, "tokenizer", "scheduler", "feature_extractor", "safety_checker"];

/**
 * Makes a whole model folder of a checkpoint: the base model's folder, with what the checkpoint has in place of its
 * own, and the text encoder of another folder where one is named. Moving averages lie beside, such as `unet_ema`; the
 * base's are left out where the checkpoint has the part. It appears under its name when it is complete.
 * @param options.textEncoder folder of the text encoder and tokenizer to take in place of the base's
 * @throws InputError where it cannot be written, or would take the place of anything but another model
 */
export async function assembleModel(base: string, checkpoint: string, out: string, options: { textEncoder?: string } = {}): Promise<void> {
  await checkModelPlace(base, out);
  const trained = (await foldersIn(checkpoint)).filter((name) => trainedFolders.includes(name));
  const foreign = options.textEncoder === undefined ? [] : ["text_encoder", "tokenizer"];
  const replaced = [...trained, ...foreign].flatMap((part) => [part, emaFolder(part)]);
  await writeFolderAtomically(out, async (fresh) => {
    const copy = (from: string, name: string) => onDisk(out, cp(join(from, name), join(fresh, name), { recursive: true, dereference: true }));
    const kept = (await foldersIn(base)).filter((name) => modelFolders.includes(name) && !replaced.includes(name));
    for (const name of [...kept, ...(await filesIn(base))]) await copy(base, name);
    if (options.textEncoder !== undefined) await copyTextEncoder(options.textEncoder, fresh, trained.includes("text_encoder"));
    for (const name of trained) await copy(checkpoint, name);
  });
}

/**
 * Finds out before a training whether the model that it leaves may be put where it shall be.
 * @throws InputError where that is in the model it is made of, or holds anything but another model
 */
export async function checkModelPlace(base: string, out: string): Promise<void> {
  const inside = relative(await realPath(base), await realPath(out));
  if (inside === "" || !(inside.startsWith("..") || isAbsolute(inside))) throw new InputError("--save-model", `${out} is the model that is trained, or lies in it; choose another folder`);
  if (!(await stat(out).then(() => true, () => false))) return;
  const known = [...modelFolders, ...(await filesIn(base))];
  const other = [...(await foldersIn(out)), ...(await filesIn(out))].find((name) => !known.includes(name));
  if (other !== undefined) throw new InputError("--save-model", `${out} holds ${other}, which is no part of the model; choose a folder that is new`);
}

/** Where a path leads, though its end may not be there yet. */
async function realPath(path: string): Promise<string> {
  const whole = resolve(path);
  if (dirname(whole) === whole) return whole;
  return realpath(whole).catch(async () => join(await realPath(dirname(whole)), basename(whole)));
}

/** Copies an encoder's files, whose weights stay out where they were trained, and its tokenizer's. */
async function copyTextEncoder(source: string, out: string, isTrained: boolean): Promise<void> {
  const { directory, tokenizerDirectory } = await findTextEncoder(openFolder(source));
  const copy = (from: string, to: string, names: readonly string[]) => Promise.all(names.map((name) => onDisk(out, cp(join(source, from, name), join(out, to, name)))));
  if (!isTrained) await copy(directory, "text_encoder", await filesIn(join(source, directory)));
  await copy(tokenizerDirectory, "tokenizer", (await filesIn(join(source, tokenizerDirectory))).filter((name) => tokenizerFileNames.includes(name)));
}

const foldersIn = (folder: string) => entriesIn(folder, true);
const filesIn = (folder: string) => entriesIn(folder, false);

/** Names of what a folder holds; links are what they lead to. */
async function entriesIn(folder: string, areFolders: boolean): Promise<string[]> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    throw new InputError(folder, `cannot be read (${cause.code}); check the path`, { cause });
  });
  const kinds = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).isDirectory()));
  return names.filter((_, i) => kinds[i] === areFolders);
}
