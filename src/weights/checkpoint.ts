import { WeightsError } from "../errors.ts";
import type { CheckpointDType } from "./dtype.ts";
import { shown } from "./shown.ts";

/** What a checkpoint says about one tensor. */
export interface TensorEntry {
  /** The key in the state dict. */
  readonly name: string;
  readonly dtype: CheckpointDType;
  readonly shape: readonly number[];
  /** Elements times bytes per element. */
  readonly byteLength: number;
}

export type CheckpointFormat = "safetensors" | "sharded" | "PyTorch zip" | "PyTorch legacy";

/** Named tensors whose bytes can be read by range. */
export interface TensorSource {
  /** Where they come from, for messages: path or URL of the file (of the index, where it is sharded). */
  readonly name: string;
  /** By name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Reads bytes of a tensor: row-major, contiguous, little-endian, whatever strides the file has.
   * @param byteOffset first byte within the tensor; for a tensor that is stored strided, offset and length are whole elements
   * @param into room for `byteLength` bytes; new memory where it is absent
   * @throws WeightsError where the range is outside the tensor or the file cannot be read
   */
  read(entry: TensorEntry, byteOffset: number, byteLength: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** The tensors of one checkpoint, whatever its file format. */
export interface Checkpoint extends TensorSource {
  readonly format: CheckpointFormat;
  /** Key under which a PyTorch file holds the state dict (Lightning: `state_dict`); "" where it is the file's root. */
  readonly stateDict: string;
  /** What else the file says about itself, as text. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Releases the files; calling it again does nothing. */
  close(): Promise<void>;
}

/** Reads a tensor whole into new memory: for small ones. */
export function readTensor(checkpoint: TensorSource, entry: TensorEntry): Promise<Uint8Array> {
  return checkpoint.read(entry, 0, entry.byteLength);
}

/** @throws WeightsError unless `entry` belongs to the checkpoint and the range lies inside the tensor */
export function checkTensorRange(checkpoint: Pick<TensorSource, "name" | "tensors">, entry: TensorEntry, byteOffset: number, byteLength: number): void {
  if (checkpoint.tensors.get(entry.name) !== entry) {
    throw new WeightsError(checkpoint.name, `tensor ${shown(entry.name)} belongs to another checkpoint; take it from this one's tensors`);
  }
  const inside = byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= entry.byteLength;
  if (!inside) {
    throw new WeightsError(checkpoint.name, `bytes ${byteOffset} to ${byteOffset + byteLength} were asked for of tensor ${shown(entry.name)}, which has ${entry.byteLength}; ask for bytes inside it`);
  }
}
