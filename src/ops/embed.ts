import {
  embedding as embeddingKernel,
  embeddingBackward as embeddingBackwardKernel,
  embeddingLinks,
  paddedPositions as paddedPositionsKernel,
  timestepEmbedding as timestepEmbeddingKernel,
} from "../generated/kernels.ts";
import { InputError } from "../errors.ts";
import { differentiable } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { zeros } from "./fill.ts";
import { elementGrid } from "./grid.ts";

/** Throws an InputError that names the first id which is not a row of a table of `vocabulary` rows. */
export function checkIds(ids: ArrayLike<number>, vocabulary: number, where = "ids"): void {
  for (let i = 0; i < ids.length; i++) {
    if (!Number.isInteger(ids[i]) || ids[i] < 0 || ids[i] >= vocabulary) {
      throw new InputError(where, `id ${ids[i]} at position ${i} is not among the model's ${vocabulary}; use the tokenizer of this model`);
    }
  }
}

/**
 * Rows of a table: ids u32 [...] -> [..., C]. A table too large for one binding comes as chunks of its rows, in order.
 * An id out of range gives a row of NaN: check ids on the host with `checkIds`.
 * @param options.dtype of the result; default: the table's
 */
export function embedding(ids: Tensor, table: Tensor | readonly Tensor[], options: { dtype?: Float } = {}): Tensor {
  const chunks: readonly Tensor[] = Array.isArray(table) ? table : [table];
  check(ids.dtype === "u32", "embedding", `takes u32 ids, got ${ids.dtype}`, ids);
  const channels = chunks[0].shape[1];
  const dtype = options.dtype ?? floatOf("embedding", chunks[0]);
  const y = ids.gpu.empty([...ids.shape, channels], dtype);
  let first = 0;
  for (const [i, chunk] of chunks.entries()) {
    const rows = chunk.shape[0];
    checkShape("embedding", `table ${i}`, chunk, [rows, channels]);
    ids.gpu.run(embeddingKernel, {
      bindings: { ids, table: chunk, y },
      params: { count: y.size, channels, first, rows, missing: NaN },
      overrides: { FIRST_CHUNK: i === 0 },
      prelude: { T: dtype, W: floatOf("embedding", chunk) },
      grid: elementGrid(y.gpu, y.size),
      bytes: bytesOf(ids, y) + (bytesOf(chunk) * ids.size) / rows,
    });
    first += rows;
  }
  const names = chunks.map((_, i) => `table ${i}`);
  const named = <V>(values: readonly V[]) => Object.fromEntries(names.map((name, i) => [name, values[i]]));
  return differentiable(y, {
    inputs: named(chunks),
    saved: { ids },
    backward: (dy, saved, wants) => named(embeddingBackward(dy, saved.ids, chunks.map(({ shape }) => shape[0]), names.map((name) => wants[name]))),
  });
}

/**
 * Gradients of the chunks of a table with so many `rows` each, f32 [rows, C] for those that are wanted: every row the
 * sum of dy [..., C] over the positions of its id in `ids`, in their order.
 */
export function embeddingBackward(dy: Tensor, ids: Tensor, rows: readonly number[], wanted: readonly boolean[]): (Tensor | undefined)[] {
  const channels = dy.shape[dy.shape.length - 1];
  checkShape("embeddingBackward", "dy", dy, [...ids.shape, channels]);
  return dy.gpu.scope("embedding", () => {
    const links = linkPositions(ids);
    let first = 0;
    return rows.map((count, i) => {
      const dtable = wanted[i] ? zeros(dy.gpu, [count, channels]) : undefined;
      if (dtable) {
        dy.gpu.run(embeddingBackwardKernel, {
          bindings: { ids, links, dy, dtable },
          params: { count: dy.size, positions: ids.size, channels, first, rows: count },
          prelude: { T: floatOf("embeddingBackward", dy) },
          grid: elementGrid(dy.gpu, dy.size),
          flops: dy.size,
          bytes: 2 * bytesOf(dy),
        });
      }
      first += count;
      return dtable;
    });
  });
}

/** For every position the next one with its id, and whether it is the first: u32 [N, 2]. */
function linkPositions(ids: Tensor): Tensor {
  const links = ids.gpu.empty([ids.size, 2], "u32");
  ids.gpu.run(embeddingLinks, {
    bindings: { ids, links },
    params: { count: ids.size },
    prelude: {},
    grid: Math.ceil(ids.size / 64),
    flops: ids.size ** 2,
    bytes: bytesOf(ids, links),
  });
  return links;
}

/** RoBERTa's positions of ids u32 [B, N]: padding + 1, padding + 2, … for ids other than `padding`, and `padding` for those. */
export function paddedPositions(ids: Tensor, padding: number): Tensor {
  check(ids.dtype === "u32" && ids.shape.length === 2, "paddedPositions", `takes ids u32 [B, N], got ${ids.dtype} [${ids.shape}]`, ids);
  const y = ids.gpu.empty(ids.shape, "u32");
  ids.gpu.run(paddedPositionsKernel, {
    bindings: { ids, y },
    params: { count: y.size, length: ids.shape[1], padding },
    prelude: {},
    grid: Math.ceil(y.size / 64),
    bytes: bytesOf(ids, y),
  });
  return y;
}

/** Arguments of `timestepEmbedding`, named after diffusers' `Timesteps`. */
export interface TimestepEmbeddingOptions {
  /** Channels of the result. */
  dim: number;
  /** Cosines before sines. */
  flipSinToCos: boolean;
  /** `downscale_freq_shift`: the last frequency is max_period^(-(half - 1) / (half - freqShift)). */
  freqShift: number;
  /** Default 10000. */
  maxPeriod?: number;
  /** Of the result. */
  dtype: Float;
}

/** Frequencies of the embedding, [half], rounded to f32 at every step as PyTorch computes them. */
function timestepFrequencies(half: number, freqShift: number, maxPeriod: number): Float32Array {
  const { fround } = Math;
  return Float32Array.from({ length: half }, (_, i) => Math.exp(fround(fround(fround(-Math.log(maxPeriod)) * i) / (half - freqShift))));
}

/**
 * Sinusoidal embedding of timesteps (diffusers' get_timestep_embedding, with its f32 frequencies and angles).
 * timesteps f32 [B], 0 <= t < 65536 -> [B, dim].
 */
export function timestepEmbedding(timesteps: Tensor, options: TimestepEmbeddingOptions): Tensor {
  const { dim, flipSinToCos, freqShift, maxPeriod = 10000, dtype } = options;
  check(timesteps.shape.length === 1 && timesteps.dtype === "f32", "timestepEmbedding", `takes timesteps f32 [B], got ${timesteps.dtype} [${timesteps.shape}]`, timesteps);
  const half = Math.floor(dim / 2);
  check(half > freqShift && maxPeriod > 1, "timestepEmbedding", `dim ${dim}, freqShift ${freqShift}, maxPeriod ${maxPeriod} give no frequencies`, timesteps);
  const frequencies = timesteps.gpu.constant(`timestep frequencies ${half} ${freqShift} ${maxPeriod}`, [half], () => timestepFrequencies(half, freqShift, maxPeriod));
  const y = timesteps.gpu.empty([timesteps.size, dim], dtype);
  timesteps.gpu.run(timestepEmbeddingKernel, {
    bindings: { timesteps, frequencies, y },
    params: { count: y.size, dim },
    overrides: { FLIP_SIN_TO_COS: flipSinToCos },
    prelude: { T: dtype },
    grid: elementGrid(y.gpu, y.size),
    bytes: bytesOf(timesteps, y),
  });
  return y;
}
