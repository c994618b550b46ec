import { type BufferArena, type BufferPool, type PooledBuffer, sizeClass } from "./buffers.ts";
import { type Claim, claimsAtPeak, placeClaims } from "./placement.ts";

/** A buffer that is promised while a step is recorded, and had once all claims are known. */
type Promised = { -readonly [K in keyof PooledBuffer]: PooledBuffer[K] } & { -readonly [K in keyof Claim]: Claim[K] };

/** Stands where a buffer will be; nothing touches it before. */
const noBuffer = {} as GPUBuffer;

/**
 * The private arena of a recorded step: notes who needs how many bytes, from when until when, and chooses the buffers in the
 * end. Tensors that are not needed at the same time share them, since every replay writes them again.
 */
export class StepArena implements BufferArena {
  readonly #promised: Promised[] = [];
  readonly #buffers: PooledBuffer[] = [];
  #now = 1;

  acquire(bytes: number, scope: string): PooledBuffer {
    return this.#promise(bytes, scope, this.#now++);
  }

  /** A buffer of its own from the beginning of the step to its end. */
  acquireThroughout(bytes: number, scope: string): PooledBuffer {
    return this.#promise(bytes, scope, 0);
  }

  #promise(bytes: number, scope: string, start: number): PooledBuffer {
    const promised: Promised = { id: 0, gpuBuffer: noBuffer, size: sizeClass(bytes), scope, references: 1, owner: this, start, end: Infinity };
    this.#promised.push(promised);
    return promised;
  }

  release(buffer: PooledBuffer): void {
    (buffer as Promised).end = this.#now++;
  }

  /** Takes the buffers from `pool`, for all that was acquired. */
  place(pool: BufferPool): void {
    for (const group of placeClaims(this.#promised)) {
      const buffer = pool.acquire(group[0].size, group[0].scope);
      this.#buffers.push(buffer);
      for (const promised of group) Object.assign(promised, { id: buffer.id, gpuBuffer: buffer.gpuBuffer });
    }
    this.#promised.length = 0;
  }

  /** Bytes that the step holds. */
  get bytes(): number {
    return this.#buffers.reduce((sum, { size }) => sum + size, 0);
  }

  /** What `place` would take, and what is live when that is most. */
  count(): { stepBytes: number; peakBytes: number; byScope: Record<string, number> } {
    const atPeak = claimsAtPeak(this.#promised);
    const byScope: Record<string, number> = {};
    for (const { scope, size } of atPeak) byScope[scope] = (byScope[scope] ?? 0) + size;
    return { stepBytes: sumOfSizes(placeClaims(this.#promised).map(([largest]) => largest)), peakBytes: sumOfSizes(atPeak), byScope };
  }

  close(pool: BufferPool): void {
    for (const buffer of this.#buffers) pool.release(buffer);
    this.#buffers.length = 0;
  }
}

function sumOfSizes(buffers: readonly { size: number }[]): number {
  return buffers.reduce((sum, { size }) => sum + size, 0);
}
