import { InputError } from "../errors.ts";
import { sizeOf } from "../tensor.ts";
import { checkTensorRange, type TensorEntry, type TensorSource } from "../weights/checkpoint.ts";
import { elementCount } from "../weights/dtype.ts";
import { fillByFormula } from "./formula.ts";

/**
 * The weights of a manifest (names with shapes), made by the formula as they are read: none is kept in memory.
 * Throws InputError where the manifest is not one.
 */
export function formulaSource(name: string, manifest: unknown): TensorSource {
  if (typeof manifest !== "object" || manifest === null) throw new InputError(name, "is not a manifest of names and shapes");
  const tensors = new Map<string, TensorEntry>();
  for (const [key, shape] of Object.entries(manifest)) {
    if (elementCount(shape) === undefined) throw new InputError(name, `${key} has the impossible shape ${JSON.stringify(shape)}`);
    tensors.set(key, { name: key, dtype: "F32", shape, byteLength: 4 * sizeOf(shape) });
  }
  const source: TensorSource = {
    name,
    tensors,
    async read(entry, byteOffset, byteLength, into = new Uint8Array(byteLength)) {
      checkTensorRange(source, entry, byteOffset, byteLength);
      fillByFormula(entry.name, entry.shape, byteOffset / 4, new Float32Array(into.buffer, into.byteOffset, byteLength / 4));
      return into;
    },
  };
  return source;
}
