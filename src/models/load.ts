import { WeightsError } from "../errors.ts";
import { unpack } from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Float } from "../ops/check.ts";
import { type Tensor, dtypeBytes } from "../tensor.ts";
import type { TensorEntry, TensorSource } from "../weights/checkpoint.ts";
import { nearestKey } from "../weights/nearest_key.ts";
import type { Model, Parameter } from "./parameters.ts";

/** Options of `loadModel`. */
export interface LoadOptions {
  /** How weights are stored. "auto": as f16 where the file holds f16 throughout and the device computes with it (exact), else f32. */
  dtype?: Float | "auto";
  /** Prefixes that the checkpoint may put before the model's keys; the first that fits is taken. */
  prefixes?: readonly string[];
  /** Called with every slab of the file, in order: for hashing while loading. The bytes are valid during the call only. */
  onBytes?: (bytes: Uint8Array) => void;
  /** Called with the bytes read so far, and all bytes. */
  onProgress?: (bytes: number, total: number) => void;
  /** Ends the loading before its next slab; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Bytes read from the file at a time: uploads stream, a file is never in memory. */
const slabBytes = 8 * 2 ** 20;
/** Slabs that may wait for the device: bounds the host memory that Dawn stages uploads in. */
const slabsInFlight = 2;

const fileFormats = { F32: { code: 0, bytes: 4 }, F16: { code: 1, bytes: 2 }, BF16: { code: 2, bytes: 2 } } as const;
type FileFormat = keyof typeof fileFormats;

/**
 * Fills a model's parameters from a checkpoint, streaming in 8 MiB slabs that the device widens and packs.
 * Throws WeightsError naming the first tensor that is missing, left over, or of another shape or type.
 */
export async function loadModel(gpu: Gpu, model: Model, checkpoint: TensorSource, options: LoadOptions = {}): Promise<void> {
  const matched = matchParameters(model, checkpoint, options);
  const dtype = storageType(gpu, matched, options.dtype ?? "auto");
  const total = [...matched.values()].reduce((sum, entry) => sum + entry.byteLength, 0);
  const slab = gpu.empty([slabBytes / 4], "u32");
  const host = new Uint8Array(slabBytes);
  let done = 0;
  let inFlight = 0;
  try {
    for (const [parameter, entry] of matched) {
      const chunks = gpu.scope("weights", () => allocate(gpu, parameter, dtype));
      parameter.fill(chunks.map((chunk) => chunk.tensor));
      for (const { tensor, first, count } of chunks) {
        const format = fileFormats[entry.dtype as FileFormat];
        const perSlab = slabBytes / format.bytes;
        for (let offset = 0; offset < count; offset += perSlab) {
          options.signal?.throwIfAborted();
          const elements = Math.min(perSlab, count - offset);
          const bytes = elements * format.bytes;
          const padded = Math.ceil(bytes / 4) * 4;
          await checkpoint.read(entry, (first + offset) * format.bytes, bytes, host.subarray(0, bytes));
          options.onBytes?.(host.subarray(0, bytes));
          gpu.writeBytes(slab, 0, host.subarray(0, padded));
          unpackSlab(gpu, parameter, { slab, padded, tensor, offset, elements, format: format.code, dtype });
          done += bytes;
          options.onProgress?.(done, total);
          if (++inFlight % slabsInFlight === 0) await gpu.sync();
        }
      }
    }
    gpu.scope("weights", () => model.prepare?.());
    await gpu.sync();
  } catch (error) {
    for (const parameter of matched.keys()) parameter.free();
    throw error;
  } finally {
    slab.free();
  }
}

/** Gives a model's parameters their tensors with nothing in them, owned by the present scope: for plans. Throws WeightsError for one that no binding holds. */
export function allocateModel(gpu: Gpu, model: Model, dtype: Float): void {
  for (const parameter of model.parameters.values()) parameter.fill(gpu.scope("weights", () => allocate(gpu, parameter, dtype)).map(({ tensor }) => tensor));
}

function unpackSlab(
  gpu: Gpu,
  parameter: Parameter,
  work: { slab: Tensor; padded: number; tensor: Tensor; offset: number; elements: number; format: number; dtype: Float },
): void {
  const [outputs, inputs, ...taps] = parameter.packing === "linear" || parameter.packing === "conv" ? parameter.shape : [1, 2 ** 31];
  gpu.run(unpack, {
    bindings: { raw: { dtype: "u32", buffer: work.slab.buffer, byteOffset: 0, byteLength: work.padded }, y: work.tensor },
    params: { first: work.offset, count: work.elements, outputs, inputs, taps: taps.reduce((a, b) => a * b, 1) },
    overrides: { FORMAT: work.format },
    prelude: { T: work.dtype },
    grid: Math.ceil(work.padded / 4 / 64),
    bytes: 2 * work.padded,
  });
}

/** The tensors that hold a parameter: one, but for tables larger than a binding may be. */
function allocate(gpu: Gpu, parameter: Parameter, dtype: Float): { tensor: Tensor; first: number; count: number }[] {
  const limit = gpu.maxBindingBytes;
  const bytes = parameter.size * dtypeBytes(dtype);
  if (bytes <= limit) return [{ tensor: gpu.empty(parameter.packedShape, dtype), first: 0, count: parameter.size }];
  if (parameter.packing !== "table") throw new WeightsError(parameter.name, `takes ${bytes} bytes as ${dtype}, one binding of this device holds ${limit}; load with --dtype f16`);
  const [rows, width] = parameter.shape;
  const perChunk = Math.floor(limit / (width * dtypeBytes(dtype)));
  return Array.from({ length: Math.ceil(rows / perChunk) }, (_, i) => {
    const count = Math.min(perChunk, rows - i * perChunk);
    return { tensor: gpu.empty([count, width], dtype), first: i * perChunk * width, count: count * width };
  });
}

function storageType(gpu: Gpu, matched: Map<Parameter, TensorEntry>, wanted: Float | "auto"): Float {
  if (wanted !== "auto") return wanted;
  const allHalf = [...matched.values()].every((entry) => entry.dtype === "F16");
  return allHalf && gpu.has("shader-f16") ? "f16" : "f32";
}

const withoutTrailingOnes = (shape: readonly number[]) => shape.slice(0, shape.findLastIndex((side) => side !== 1) + 1).join("x");

/** Pairs every parameter with its checkpoint tensor. */
function matchParameters(model: Model, checkpoint: TensorSource, options: LoadOptions): Map<Parameter, TensorEntry> {
  const { parameters, ignoredKeys } = model;
  const rename = model.renameKey ?? ((key: string) => key);
  const prefix = pickPrefix(checkpoint, options.prefixes ?? [""], (key) => parameters.has(rename(key)));
  const byName = new Map<string, TensorEntry>();
  const extra: string[] = [];
  for (const [key, entry] of checkpoint.tensors) {
    const name = rename(key.startsWith(prefix) ? key.slice(prefix.length) : key);
    if (parameters.has(name)) byName.set(name, entry);
    else if (!ignoredKeys.test(name)) extra.push(entry.name);
  }
  const missing = [...parameters.keys()].filter((name) => !byName.has(name));
  if (missing.length > 0) throw new WeightsError(checkpoint.name, `lacks ${list(missing, prefix)}${nearest(checkpoint, prefix + missing[0])}; the model's config.json asks for it, so file and config do not belong together`);
  if (extra.length > 0) throw new WeightsError(checkpoint.name, `holds ${list(extra, "")}, which the model's config.json does not ask for; file and config do not belong together`);
  const matched = new Map<Parameter, TensorEntry>();
  for (const [name, parameter] of parameters) {
    const entry = byName.get(name) as TensorEntry;
    if (withoutTrailingOnes(entry.shape) !== withoutTrailingOnes(parameter.shape)) {
      throw new WeightsError(checkpoint.name, `${entry.name} is [${entry.shape}], the model's config.json asks for [${parameter.shape}]`);
    }
    if (!(entry.dtype in fileFormats)) throw new WeightsError(checkpoint.name, `${entry.name} is ${entry.dtype}; weights must be F32, F16 or BF16: convert the file first (attnscope weights convert)`);
    matched.set(parameter, entry);
  }
  return matched;
}

function pickPrefix(checkpoint: TensorSource, prefixes: readonly string[], known: (key: string) => boolean): string {
  const keys = [...checkpoint.tensors.keys()];
  return prefixes.find((prefix) => keys.some((key) => key.startsWith(prefix) && known(key.slice(prefix.length)))) ?? prefixes[0];
}

function list(names: string[], prefix: string): string {
  const rest = names.length > 1 ? ` and ${names.length - 1} more` : "";
  return `tensor ${prefix}${names[0]}${rest}`;
}

/** The key of the file that may have been meant. */
function nearest(checkpoint: TensorSource, wanted: string): string {
  const key = nearestKey(wanted, checkpoint.tensors.keys());
  return key === undefined ? "" : ` (the nearest that it has is ${checkpoint.tensors.get(key)?.name})`;
}
