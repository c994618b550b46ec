import { WeightsError } from "../errors.ts";
import type { TensorEntry, TensorSource } from "./checkpoint.ts";

/** A tensor of a checkpoint, or one of equal parts of it along its first dimension, by another name. */
export interface TensorView {
  readonly name: string;
  readonly entry: TensorEntry;
  readonly part?: { readonly index: number; readonly of: number };
}

/**
 * Shows tensors of `source` by other names. Their entries keep the file's own keys, which is what messages name.
 * Throws WeightsError where a tensor has no such parts.
 */
export function viewTensors(source: TensorSource, views: Iterable<TensorView>): TensorSource {
  const tensors = new Map<string, TensorEntry>();
  const places = new Map<TensorEntry, { entry: TensorEntry; byteOffset: number }>();
  for (const { name, entry, part } of views) {
    const view = part ? partOf(source, entry, part.of) : entry;
    tensors.set(name, view);
    places.set(view, { entry, byteOffset: part ? part.index * view.byteLength : 0 });
  }
  return {
    name: source.name,
    tensors,
    read(view, byteOffset, byteLength, into) {
      const place = places.get(view);
      if (!place) throw new TypeError(`${view.name} is not a tensor of this view`);
      return source.read(place.entry, place.byteOffset + byteOffset, byteLength, into);
    },
  };
}

function partOf(source: TensorSource, entry: TensorEntry, of: number): TensorEntry {
  const [rows, ...rest] = entry.shape;
  if (rows === undefined || rows % of !== 0) throw new WeightsError(source.name, `${entry.name} is [${entry.shape}], which is not ${of} equal parts; file and config do not belong together`);
  return { ...entry, shape: [rows / of, ...rest], byteLength: entry.byteLength / of };
}
