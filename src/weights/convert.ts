import { InputError, WeightsError } from "../errors.ts";
import type { Checkpoint, TensorEntry } from "./checkpoint.ts";
import { dtypeBytes, type CheckpointDType } from "./dtype.ts";
import { convertFloats, isConvertible, type FloatDType } from "./float_bytes.ts";
import { currentAttentionName, stripPrefix } from "./rename.ts";
import type { TensorOutput } from "./safetensors_writer.ts";
import { shown } from "./shown.ts";

/** What a conversion changes; what is absent stays as it is. */
export interface ConvertOptions {
  /** Element type of all floating-point tensors; integers and booleans keep theirs. */
  readonly dtype?: Exclude<FloatDType, "F64">;
  /** Beginning that is taken off the names that have it. */
  readonly prefixStrip?: string;
  /** Give the attention weights of an old VAE their present names. */
  readonly renameVaeAttention?: boolean;
}

/** Elements that are in memory at a time, of the file's dtype. */
const CHUNK_ELEMENTS = 2 ** 20;

/**
 * The tensors of a checkpoint, converted, ready for `writeSafetensors`; nothing is read before that asks for bytes.
 * Narrowing rounds to nearest, ties to even.
 * @throws InputError where no name has the prefix, or two tensors would get one name; from `chunks()`: WeightsError where a finite
 * value exceeds the new dtype's range
 */
export function convertedTensors(checkpoint: Checkpoint, options: ConvertOptions): TensorOutput[] {
  const { prefixStrip = "", renameVaeAttention = false } = options;
  const entries = [...checkpoint.tensors.values()];
  if (!entries.some(({ name }) => name.startsWith(prefixStrip))) {
    throw new InputError("--prefix-strip", `no tensor of ${checkpoint.name} begins with ${shown(prefixStrip)}; see attnscope weights inspect`);
  }
  const renamed = new Map<string, string>();
  return entries.map((entry) => {
    const stripped = stripPrefix(entry.name, prefixStrip);
    const name = renameVaeAttention ? currentAttentionName(stripped) : stripped;
    if (renamed.has(name)) throw new InputError(checkpoint.name, `${shown(renamed.get(name))} and ${shown(entry.name)} would both be called ${shown(name)}; strip another prefix`);
    renamed.set(name, entry.name);
    return convertTensor(checkpoint, entry, name, options.dtype);
  });
}

function convertTensor(checkpoint: Checkpoint, entry: TensorEntry, name: string, wanted: ConvertOptions["dtype"]): TensorOutput {
  const step = CHUNK_ELEMENTS * dtypeBytes[entry.dtype];
  async function* stored() {
    const buffer = new Uint8Array(Math.min(step, entry.byteLength));
    for (let offset = 0; offset < entry.byteLength; offset += step) {
      yield await checkpoint.read(entry, offset, Math.min(step, entry.byteLength - offset), buffer);
    }
  }
  const { dtype, shape } = entry;
  if (wanted === undefined || wanted === dtype || !isFloat(dtype)) return { name, dtype, shape, chunks: stored };
  if (!isConvertible(dtype)) throw new WeightsError(checkpoint.name, `tensor ${shown(entry.name)} is ${dtype}, which cannot be converted; leave --dtype out`);
  const overflow = (value: number) => {
    throw new WeightsError(checkpoint.name, `tensor ${shown(entry.name)} holds ${value}, beyond the range of ${wanted}; use --dtype bf16 or f32`);
  };
  async function* converted() {
    for await (const bytes of stored()) yield convertFloats(bytes, dtype as FloatDType, wanted!, overflow);
  }
  return { name, dtype: wanted, shape, chunks: converted };
}

function isFloat(dtype: CheckpointDType): boolean {
  return dtype.startsWith("F") || dtype === "BF16";
}
