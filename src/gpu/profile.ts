import type { BufferPool } from "./buffers.ts";
import type { Command } from "./commands.ts";
import { encodePass } from "./encode_pass.ts";
import { bufferUsage, mapModeRead } from "./usage.ts";
import type { VariantChoice } from "./variant_choices.ts";

/** One profiled dispatch. */
export interface ProfileRow {
  /** Path of the scope that dispatched it, such as `unet/mid_block/attn2`; "" outside of any. */
  scope: string;
  /** `Kernel.name`: path of its WGSL file within kernels/. */
  kernel: string;
  /** Element types and constants. */
  variant: string;
  /** Workgroups in x, y, z. */
  grid: readonly [number, number, number];
  /** Index in the profile's submissions. */
  submission: number;
  /** Milliseconds since the profile began, on the device's clock (see `Profile`). */
  startMs: number;
  /** 0 where the device has no timestamps, or its clock did not advance. */
  ms: number;
  /** Floating-point operations as its op counts them; 0 where it does not. */
  flops: number;
  /** Bytes that it reads and writes at least, as its op counts them; 0 where it does not. */
  bytes: number;
  /** 10^9 floating-point operations a second, from `flops` and `ms`; 0 where the time is 0. */
  gflops: number;
  /** 10^9 bytes a second, from `bytes` and `ms`; 0 where the time is 0. */
  gbps: number;
  /** What its op chose between kernels, where it does. */
  choice?: VariantChoice;
}

/** One submission to the device's queue, in milliseconds of the host's clock since the profile began. */
export interface ProfileSubmission {
  /** When the host began to encode it. */
  startMs: number;
  /** What encoding and submitting took. */
  encodeMs: number;
  /** How many rows of the profile belong to it. */
  dispatches: number;
}

/** A buffer that was acquired (bytes above 0) or released under a scope, in milliseconds of the host's clock. */
export interface MemoryEvent {
  ms: number;
  scope: string;
  bytes: number;
  /** Bytes that the pool keeps for reuse from then on. */
  pooled: number;
}

/** Live bytes over time: what was there at the beginning, and every change. */
export interface MemoryTimeline {
  start: { pooled: number; byScope: Record<string, number> };
  events: MemoryEvent[];
}

/**
 * The result of `gpu.profile`. The device's clock and the host's have no common origin: the device's is placed so that no
 * dispatch starts before it was submitted.
 */
export interface Profile {
  /** One a dispatch, in the order of submission. */
  rows: ProfileRow[];
  /** In order; a row names its own by index. */
  submissions: ProfileSubmission[];
  /** Bytes of tensors while it ran, on the host's clock. */
  memory: MemoryTimeline;
  /** Final WGSL of each kernel that ran, by `sourceKey`. */
  sources: ReadonlyMap<string, string>;
  /** Milliseconds of the host's clock from the beginning until all work was done. */
  wallMs: number;
  /** Greatest common divisor of all raw timestamps in nanoseconds: above 1 the times are rounded; 0: there are none. */
  quantumNs: number;
  /** A sentence when times are missing or rounded. */
  note?: string;
}

/** What tells one final WGSL from another. */
export function sourceKey({ kernel, variant }: Pick<ProfileRow, "kernel" | "variant">): string {
  return `${kernel} ${variant}`;
}

interface Submitted extends ProfileSubmission {
  commands: Command[];
  /** Beginning and end of each command in nanoseconds of the device's clock; absent without timestamps. */
  stamps?: Promise<BigUint64Array>;
}

/**
 * Watches all submissions and the memory. Where the device has timestamps, every dispatch is timed by a pass of its own
 * with timestamps at its beginning and end.
 */
export class Profiler {
  readonly #device: GPUDevice;
  readonly #pool: BufferPool;
  readonly #timed: boolean;
  readonly #started = performance.now();
  readonly #submitted: Submitted[] = [];
  readonly #memory: MemoryTimeline;

  constructor(device: GPUDevice, pool: BufferPool, { timestamps = true }: { timestamps?: boolean }) {
    this.#device = device;
    this.#pool = pool;
    this.#timed = timestamps && device.features.has("timestamp-query");
    const { pooled, byScope } = pool.report();
    this.#memory = { start: { pooled, byScope }, events: [] };
    pool.observer = (scope, bytes, pooled) => this.#memory.events.push({ ms: this.#now(), scope, bytes, pooled });
  }

  #now(): number {
    return performance.now() - this.#started;
  }

  /** Encodes, submits and schedules the reading of the timestamps. */
  submit(commands: Command[]): void {
    const startMs = this.#now();
    const stamps = this.#timed ? this.#submitTimed(commands) : this.#submitPlain(commands);
    stamps?.catch(() => undefined); // `finish` tells of it; where the profiled work throws, nothing awaits the timestamps
    this.#submitted.push({ commands, stamps, dispatches: commands.length, startMs, encodeMs: this.#now() - startMs });
  }

  #submitPlain(commands: Command[]): undefined {
    const encoder = this.#device.createCommandEncoder();
    encodePass(encoder, commands);
    this.#device.queue.submit([encoder.finish()]);
  }

  #submitTimed(commands: Command[]): Promise<BigUint64Array> {
    const device = this.#device;
    const count = 2 * commands.length;
    const querySet = device.createQuerySet({ type: "timestamp", count });
    const resolved = device.createBuffer({ size: 8 * count, usage: bufferUsage.queryResolve | bufferUsage.copySource });
    const readback = device.createBuffer({ size: 8 * count, usage: bufferUsage.mapRead | bufferUsage.copyDestination });
    const encoder = device.createCommandEncoder();
    commands.forEach((command, i) => {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
      const pass = encoder.beginComputePass({ label: command.scope, timestampWrites });
      pass.setPipeline(command.compiled.pipeline);
      pass.setBindGroup(0, command.bindGroup, command.offsets);
      pass.dispatchWorkgroups(...command.grid);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readback, 0, 8 * count);
    device.queue.submit([encoder.finish()]);
    return readback.mapAsync(mapModeRead).then(() => {
      const stamps = new BigUint64Array(readback.getMappedRange().slice(0));
      for (const resource of [readback, resolved, querySet]) resource.destroy();
      return stamps;
    });
  }

  /** Ends watching, waits for all timestamps and gives the profile. */
  async finish(): Promise<Profile> {
    this.stop();
    const wallMs = this.#now();
    const stamps = await Promise.all(this.#submitted.map((part) => part.stamps));
    const quantumNs = Number(stamps.reduce((divisor, part) => part?.reduce(gcd, divisor) ?? divisor, 0n));
    return {
      rows: this.#rows(stamps),
      submissions: this.#submitted.map(({ startMs, encodeMs, dispatches }) => ({ startMs, encodeMs, dispatches })),
      memory: this.#memory,
      sources: new Map(this.#submitted.flatMap(({ commands }) => commands.map((command) => [sourceKey(command), command.compiled.code] as const))),
      wallMs,
      quantumNs,
      note: this.#note(quantumNs),
    };
  }

  #note(quantumNs: number): string | undefined {
    if (quantumNs > 1) return `timestamps are rounded to ${quantumNs} ns: trust sums over many dispatches more than single ones`;
    return this.#device.features.has("timestamp-query") ? undefined : "this device has no timestamp-query: dispatches are counted, not timed";
  }

  /** Ends watching. */
  stop(): void {
    this.#pool.observer = undefined;
  }

  #rows(stamps: readonly (BigUint64Array | undefined)[]): ProfileRow[] {
    const origin = stamps[0]?.[0] ?? 0n;
    const sinceOrigin = (stamp: bigint) => Number(stamp - origin) / 1e6;
    const lags = this.#submitted.map(({ startMs, encodeMs }, i) => startMs + encodeMs - sinceOrigin(stamps[i]?.[0] ?? origin));
    const offset = Math.max(...lags);
    return this.#submitted.flatMap(({ commands, startMs }, submission) =>
      commands.map(({ scope, kernel, variant, grid, flops, bytes, choice }, i) => {
        const [begin, end] = stamps[submission]?.subarray(2 * i, 2 * i + 2) ?? [];
        const ms = begin !== undefined && end > begin ? Number(end - begin) / 1e6 : 0;
        const at = begin === undefined ? startMs : sinceOrigin(begin) + offset;
        return { scope, kernel, variant, grid, submission, startMs: at, ms, flops, bytes, gflops: ms > 0 ? flops / ms / 1e6 : 0, gbps: ms > 0 ? bytes / ms / 1e6 : 0, choice };
      }),
    );
  }
}

function gcd(a: bigint, b: bigint): bigint {
  while (b > 0n) [a, b] = [b, a % b];
  return a;
}
