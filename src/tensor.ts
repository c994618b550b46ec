import { ShapeError } from "./errors.ts";
import type { PooledBuffer } from "./gpu/buffers.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { refuseGradient } from "./tape.ts";

/** Element types that a buffer may hold. f16 storage needs the device feature shader-f16. */
export type Dtype = "f32" | "f16" | "u32" | "i32";

/** Bytes of one element. */
export function dtypeBytes(dtype: Dtype): number {
  return dtype === "f16" ? 2 : 4;
}

/** Product of a shape: its number of elements. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

/**
 * A dense row-major array on the device: shape, dtype, buffer, lifetime; no arithmetic.
 * Freed explicitly, or by the scope that created it. Views share the buffer and keep it alive.
 */
export class Tensor {
  /** The device that holds it. */
  readonly gpu: Gpu;
  /** Sides, the slowest first, such as [B, H, W, C]; [] is a scalar of one element. */
  readonly shape: readonly number[];
  /** Type of the stored elements; sums over f16 ones are f32. */
  readonly dtype: Dtype;
  /** The pool's buffer, shared by all views of it; at least `byteOffset + byteLength` bytes. */
  readonly buffer: PooledBuffer;
  /** Where the elements start in the buffer; a multiple of 256 unless 0. */
  readonly byteOffset: number;
  /** The tensor that this one is a reshaped view of, or itself: gradients belong to roots. */
  readonly root: Tensor;
  #freed = false;

  /** Takes over one reference to `buffer`. Made by `gpu.empty`, `gpu.tensor` and the ops. */
  constructor(gpu: Gpu, shape: readonly number[], dtype: Dtype, buffer: PooledBuffer, byteOffset = 0, root?: Tensor) {
    this.gpu = gpu;
    this.shape = shape;
    this.dtype = dtype;
    this.buffer = buffer;
    this.byteOffset = byteOffset;
    this.root = root ?? this;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Bytes bound to a kernel: the elements, rounded up to the 4 bytes that WebGPU asks for. */
  get byteLength(): number {
    return Math.max(4, Math.ceil((this.size * dtypeBytes(this.dtype)) / 4) * 4);
  }

  /** Whether `free` was called: the tensor can no longer be used. */
  get freed(): boolean {
    return this.#freed;
  }

  /** The same elements under another shape; -1 stands for the side that follows from the others. */
  reshape(...shape: number[]): Tensor {
    const known = shape.filter((side) => side !== -1).reduce((a, b) => a * b, 1);
    const full = shape.map((side) => (side === -1 ? this.size / known : side));
    if (sizeOf(full) !== this.size || full.some((side) => !Number.isInteger(side))) {
      throw new ShapeError("reshape", `[${this.shape}] does not fit [${shape}]`, this.gpu.scopeName);
    }
    return this.#view(full, this.byteOffset, this.root);
  }

  /** Rows `start` to `end` of the first dimension, without a copy. The offset must be a multiple of 256 bytes. No gradient. */
  rows(start: number, end: number): Tensor {
    const rowBytes = (this.size / this.shape[0]) * dtypeBytes(this.dtype);
    const offset = this.byteOffset + start * rowBytes;
    if (start < 0 || end > this.shape[0] || start >= end || offset % 256 !== 0) {
      throw new ShapeError("rows", `rows ${start} to ${end} of [${this.shape}] cannot be a view: byte ${offset} is not a multiple of 256`, this.gpu.scopeName);
    }
    refuseGradient("rows", this);
    return this.#view([end - start, ...this.shape.slice(1)], offset);
  }

  #view(shape: readonly number[], byteOffset: number, root?: Tensor): Tensor {
    this.assertLive();
    this.buffer.references++;
    return this.gpu.track(new Tensor(this.gpu, shape, this.dtype, this.buffer, byteOffset, root));
  }

  /** Throws when the tensor was freed. */
  assertLive(): void {
    if (this.#freed) throw new ShapeError("tensor", `a freed tensor [${this.shape}] was used`, this.gpu.scopeName);
  }

  /** Gives the buffer back once its last view is freed. Idempotent. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    if (--this.buffer.references === 0) this.buffer.owner.release(this.buffer);
  }

  /** Writes all elements from the host. f16 takes raw 16-bit patterns as Uint16Array. */
  write(data: Float32Array | Uint32Array | Int32Array | Uint16Array): void {
    this.assertLive();
    this.gpu.write(this, data);
  }

  /** Reads all elements to the host as numbers of the dtype (f16 widened to Float32Array). */
  read(): Promise<Float32Array> {
    this.assertLive();
    return this.gpu.read(this);
  }
}
