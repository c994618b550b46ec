import { WeightsError } from "../errors.ts";
import type { ByteSource, FolderSource } from "./byte_source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { openSafetensors } from "./safetensors.ts";
import { openSharded } from "./sharded.ts";
import { shown } from "./shown.ts";
import type { TorchOptions } from "./torch_checkpoint.ts";

/** File names under which diffusers and transformers, and then open_clip, look for weights, in their order. */
export const weightFileNames = [
  "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json",
  "model.safetensors", "model.safetensors.index.json",
  "diffusion_pytorch_model.bin", "pytorch_model.bin", "pytorch_model.bin.index.json",
  "open_clip_model.safetensors", "open_clip_pytorch_model.bin",
] as const;

/**
 * Opens a checkpoint of a folder: safetensors, a PyTorch file of either format, or the index of a sharded one.
 * The format is told by the bytes, not by the name. Close the checkpoint when done.
 * @throws WeightsError that names the file and what is wrong with it
 */
export async function openCheckpoint(folder: FolderSource, path: string, options: TorchOptions = {}): Promise<Checkpoint> {
  const openOne = async (file: string) => openCheckpointSource(await folder.open(file), options);
  return path.endsWith(".index.json") ? openSharded(folder, path, openOne) : openOne(path);
}

/** Opens a checkpoint that is one file, and takes that file over: it is closed with the checkpoint, or here on an error. */
export async function openCheckpointSource(source: ByteSource, options: TorchOptions = {}): Promise<Checkpoint> {
  try {
    return await openByMagic(source, options);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * Path of the weights in a directory of the diffusers layout, such as `unet`; "" is the folder itself. Where none of the
 * usual names is there, it is the one checkpoint of a trainer, such as GLoRIA's `chexpert_resnet50.ckpt`.
 * @throws WeightsError where there are no weights, or a trainer's checkpoint beside others
 */
export async function findWeights(folder: FolderSource, directory: string): Promise<string> {
  const usual = await weightsPath(folder, directory);
  const found = [...(usual === undefined ? [] : [usual]), ...(await trainerCheckpoints(folder, directory))];
  if (found.length === 1) return found[0];
  const where = directory === "" ? folder.name : `${folder.name}/${directory}`;
  if (found.length > 1) throw new WeightsError(where, `holds several weights (${found.join(", ")}); leave only those that are meant`);
  throw new WeightsError(where, `has no weights; put one of ${weightFileNames.join(", ")} there`);
}

/** Checkpoints of trainers; not the state that transformers' trainer leaves beside its weights. */
async function trainerCheckpoints(folder: FolderSource, directory: string): Promise<string[]> {
  const names = (await folder.list?.(directory)) ?? [];
  return names.filter((name) => /\.(ckpt|pt|pth|tar)$/.test(name) && !/^(optimizer|scheduler|scaler|rng_state)/.test(name)).map((name) => inDirectory(directory, name));
}

/** Path of a file in a directory of a folder; "" is the folder itself. */
export function inDirectory(directory: string, file: string): string {
  return directory === "" ? file : `${directory}/${file}`;
}

/** Path as of `findWeights`, or undefined where none of the usual names is there. */
export async function weightsPath(folder: FolderSource, directory: string): Promise<string | undefined> {
  for (const file of weightFileNames) {
    const path = inDirectory(directory, file);
    if (await folder.has(path)) return path;
  }
  return undefined;
}

async function openByMagic(source: ByteSource, options: TorchOptions): Promise<Checkpoint> {
  if (source.size === 0) throw new WeightsError(source.name, "is empty; get it again");
  const head = await source.read(0, Math.min(source.size, 512));
  const ascii = String.fromCharCode(...head);
  // Readers of PyTorch's formats are loaded where they are needed: most models come as safetensors.
  if (ascii.startsWith("PK\x03\x04")) return (await import("./torch_zip.ts")).openTorchZip(source, options);
  // Byte 8 first: a safetensors file may begin with any byte, and no pickle of torch.save has a brace there.
  if (ascii[8] === "{") return openSafetensors(source);
  if (ascii[0] === "\x80") return (await import("./torch_legacy.ts")).openTorchLegacy(source, options);
  throw new WeightsError(source.name, foreignFact(source.name, ascii));
}

function foreignFact(name: string, head: string): string {
  if (head.startsWith("version https://git-lfs")) return "is a Git LFS pointer and not the weights; fetch the file itself (git lfs pull)";
  if (/^\s*</.test(head)) return "is a web page and not a checkpoint; get the file again";
  if (head.slice(257, 262) === "ustar") return "is a tar archive, which torch.save wrote before PyTorch 0.1.10; save it again with a newer one";
  const kind = name.endsWith(".safetensors") ? "has no safetensors header" : "is no checkpoint: neither safetensors nor a file of torch.save";
  return `${kind} (it begins with ${shown(head.slice(0, 12))}); get it again`;
}
