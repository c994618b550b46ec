/**
 * Bytes per element of each dtype, in safetensors' names and in the order of its reference implementation,
 * which sorts the tensors of a file by it, last first.
 */
export const dtypeBytes = {
  BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1,
  I16: 2, U16: 2, F16: 2, BF16: 2,
  I32: 4, U32: 4, F32: 4,
  F64: 8, I64: 8, U64: 8,
} as const;

/** Element type of a tensor in a file. */
export type CheckpointDType = keyof typeof dtypeBytes;

/** Whether a string read from a file names a dtype that is known here. */
export function isCheckpointDType(name: unknown): name is CheckpointDType {
  return typeof name === "string" && Object.hasOwn(dtypeBytes, name);
}

/** Most dimensions of a tensor, the limit of PyTorch's kernels. */
const MAX_RANK = 64;

/** Product of a shape read from a file, or undefined where it is not a list of at most 64 non-negative integers or exceeds 2^53. */
export function elementCount(shape: unknown): number | undefined {
  if (!Array.isArray(shape) || shape.length > MAX_RANK) return undefined;
  let count = 1;
  for (const size of shape) {
    if (!isSize(size)) return undefined;
    count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/** Whether a value read from a file is a non-negative integer that a double holds exactly. */
export function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
