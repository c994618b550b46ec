import { InputError } from "../errors.ts";
import { widenFloat16 } from "../float16.ts";
import { type FolderSource, readJson } from "../weights/byte_source.ts";
import { type TensorEntry, readTensor } from "../weights/checkpoint.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";

/** A tensor on the host: integers as numbers, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What a reference computed: the tensors of a safetensors file, and the facts of its metadata and of the JSON file beside it. */
export interface GoldenFile {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Throws InputError where there is none of this name. */
  tensor(name: string): HostTensor;
  /** A fact by name, as its reader expects it. Throws InputError where there is none of this name. */
  fact<T>(name: string): T;
}

/** The tensors of a checkpoint file on the host, and its metadata as text. Throws WeightsError or InputError naming the file. */
export async function readTensorFile(folder: FolderSource, path: string): Promise<Pick<GoldenFile, "name" | "tensors"> & { metadata: Readonly<Record<string, string>> }> {
  const checkpoint = await openCheckpoint(folder, path);
  try {
    const tensors = new Map<string, HostTensor>();
    for (const [name, entry] of checkpoint.tensors) tensors.set(name, { shape: entry.shape, data: decode(checkpoint.name, entry, await readTensor(checkpoint, entry)) });
    return { name: checkpoint.name, tensors, metadata: checkpoint.metadata };
  } finally {
    await checkpoint.close();
  }
}

/** Reads a golden. `path` ends in .safetensors. Throws WeightsError or InputError naming the file. */
export async function readGoldenFile(folder: FolderSource, path: string): Promise<GoldenFile> {
  const { name: file, tensors, metadata } = await readTensorFile(folder, path);
  const facts = new Map<string, unknown>(Object.entries(metadata).map(([name, text]) => [name, parse(text)]));
  const json = path.replace(/\.safetensors$/, ".json");
  if (await folder.has(json)) for (const [name, value] of Object.entries((await readJson(folder, json)) as object)) facts.set(name, value);
  const find = <V>(all: ReadonlyMap<string, V>, kind: string, name: string): V => {
    const value = all.get(name);
    if (value === undefined) throw new InputError(file, `lacks the ${kind} ${name}; it is not a golden of this layout`);
    return value;
  };
  return {
    name: file,
    tensors,
    tensor: (name) => find(tensors, "tensor", name),
    fact: <T>(name: string) => find(facts, "fact", name) as T,
  };
}

/** Metadata holds JSON, or plain text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function decode(file: string, { name, dtype }: TensorEntry, bytes: Uint8Array): Float32Array {
  const buffer = bytes.slice().buffer;
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    case "F16":
      return widenFloat16(new Uint16Array(buffer));
    case "I64":
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case "I32":
      return Float32Array.from(new Int32Array(buffer));
    case "U8":
    case "BOOL":
      return Float32Array.from(new Uint8Array(buffer));
    default:
      throw new InputError(file, `tensor ${name} is ${dtype}, which goldens do not use`);
  }
}
