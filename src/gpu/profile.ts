import type { Command } from "./commands.ts";
import { bufferUsage, mapModeRead } from "./usage.ts";

/** One profiled dispatch. Times in milliseconds from the first dispatch of the profile. */
export interface ProfileRow {
  scope: string;
  kernel: string;
  variant: string;
  startMs: number;
  ms: number;
  flops: number;
  bytes: number;
  /** Rates from `flops`, `bytes` and `ms`; 0 where the time rounds to 0. */
  gflops: number;
  gbps: number;
}

/** The result of `gpu.profile`. */
export interface Profile {
  rows: ProfileRow[];
  /** Greatest common divisor of all raw timestamps in nanoseconds: above 1 the times are rounded. */
  quantumNs: number;
  /** A sentence when times are missing or rounded. */
  note?: string;
}

const querySize = 4096;
const passesPerSet = querySize / 2;

/** Times every dispatch by a pass of its own with timestamps at its beginning and end. */
export class Profiler {
  readonly #device: GPUDevice;
  readonly #results: Promise<{ commands: Command[]; stamps: BigUint64Array }>[] = [];
  /** Most dispatches that one submission may hold. */
  static readonly passesPerSubmit = passesPerSet;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Encodes, submits and schedules the reading of the timestamps. */
  submit(commands: Command[]): void {
    const device = this.#device;
    const count = 2 * commands.length;
    const querySet = device.createQuerySet({ type: "timestamp", count });
    const resolved = device.createBuffer({ size: 8 * count, usage: bufferUsage.queryResolve | bufferUsage.copySource });
    const readback = device.createBuffer({ size: 8 * count, usage: bufferUsage.mapRead | bufferUsage.copyDestination });
    const encoder = device.createCommandEncoder();
    commands.forEach((command, i) => {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
      const pass = encoder.beginComputePass({ label: command.scope, timestampWrites });
      pass.setPipeline(command.pipeline);
      pass.setBindGroup(0, command.bindGroup, command.offsets);
      pass.dispatchWorkgroups(...command.grid);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readback, 0, 8 * count);
    device.queue.submit([encoder.finish()]);
    this.#results.push(
      readback.mapAsync(mapModeRead).then(() => {
        const stamps = new BigUint64Array(readback.getMappedRange().slice(0));
        for (const resource of [readback, resolved, querySet]) resource.destroy();
        return { commands, stamps };
      }),
    );
  }

  /** Waits for all timestamps. */
  async finish(): Promise<Profile> {
    const parts = await Promise.all(this.#results);
    const origin = parts[0]?.stamps[0] ?? 0n;
    let quantum = 0n;
    const rows = parts.flatMap(({ commands, stamps }) =>
      commands.map((command, i) => {
        const [begin, end] = [stamps[2 * i], stamps[2 * i + 1]];
        quantum = gcd(gcd(quantum, begin), end);
        const ms = end > begin ? Number(end - begin) / 1e6 : 0;
        return {
          scope: command.scope,
          kernel: command.kernel,
          variant: command.variant,
          startMs: Number(begin - origin) / 1e6,
          ms,
          flops: command.flops,
          bytes: command.bytes,
          gflops: ms > 0 ? command.flops / ms / 1e6 : 0,
          gbps: ms > 0 ? command.bytes / ms / 1e6 : 0,
        };
      }),
    );
    const quantumNs = Number(quantum);
    const note = quantumNs > 1 ? `timestamps are rounded to ${quantumNs} ns` : undefined;
    return { rows, quantumNs, note };
  }
}

function gcd(a: bigint, b: bigint): bigint {
  while (b > 0n) [a, b] = [b, a % b];
  return a;
}

/** A profile in Chrome's trace event format, for chrome://tracing and Perfetto. */
export function chromeTrace(profile: Profile): string {
  const traceEvents = profile.rows.map((row) => ({
    ph: "X",
    name: row.kernel,
    cat: row.scope,
    ts: row.startMs * 1e3,
    dur: row.ms * 1e3,
    pid: 1,
    tid: 1,
    args: { scope: row.scope, variant: row.variant, gflops: row.gflops, gbps: row.gbps },
  }));
  return JSON.stringify({ traceEvents });
}
