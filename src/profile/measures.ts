import type { ProfileRow } from "../gpu/profile.ts";
import type { Peaks } from "../peaks.ts";
import { quantile } from "../statistics.ts";

/** What a device reaches at best, measured in the same run: the scale on which kernels are judged. */
export interface Roofs extends Peaks {
  /** Least milliseconds of a dispatch that does nothing, by the same timestamps; 0 where there are none. */
  emptyDispatchMs: number;
}

/** What keeps a group of dispatches from being faster: the largest of the three times that it takes at the roofs. */
export type Bound = "compute" | "memory" | "dispatch";

/** What a group of dispatches took and moved. */
export interface Measures {
  calls: number;
  ms: number;
  /** Part of all dispatches' time, in [0, 1]. */
  share: number;
  medianMs: number;
  leastMs: number;
  /** Half the distance of the quartiles of a call's time. */
  spreadMs: number;
  flops: number;
  bytes: number;
  gflops: number;
  gbps: number;
  /** FLOP a byte. */
  intensity: number;
  /** Part of what the roofline allows, roofline time / time: above 1 where data came from a cache faster than the copied memory. */
  roofShare: number;
  bound: Bound;
  /** Milliseconds that would be saved if every call ran at its roof. */
  headroomMs: number;
  workgroups: number;
}

/** Milliseconds of one dispatch at each of the roofs. */
function roofTimes({ flops, bytes }: Pick<ProfileRow, "flops" | "bytes">, roofs: Roofs): Record<Bound, number> {
  return { compute: flops / roofs.fmaGflops / 1e6, memory: bytes / roofs.copyGBps / 1e6, dispatch: roofs.emptyDispatchMs };
}

/** Measures of a group of dispatches; `totalMs` is the time of all dispatches. */
export function measure(rows: readonly ProfileRow[], roofs: Roofs, totalMs: number): Measures {
  const sum = (value: (row: ProfileRow) => number) => rows.reduce((total, row) => total + value(row), 0);
  const [ms, flops, bytes] = [sum((row) => row.ms), sum((row) => row.flops), sum((row) => row.bytes)];
  const atRoofs = rows.map((row) => roofTimes(row, roofs));
  const sumAt = (of: (times: Record<Bound, number>) => number) => atRoofs.reduce((total, times) => total + of(times), 0);
  const bounds = (["compute", "memory", "dispatch"] as const).map((name) => [name, sumAt((times) => times[name])] as const);
  const times = rows.map((row) => row.ms).sort((a, b) => a - b);
  return {
    calls: rows.length,
    ms,
    share: ratio(ms, totalMs),
    medianMs: quantile(times, 0.5),
    leastMs: times[0] ?? 0,
    spreadMs: (quantile(times, 0.75) - quantile(times, 0.25)) / 2,
    flops,
    bytes,
    gflops: ratio(flops, ms) / 1e6,
    gbps: ratio(bytes, ms) / 1e6,
    intensity: ratio(flops, bytes),
    roofShare: ratio(sumAt(({ compute, memory }) => Math.max(compute, memory)), ms),
    bound: bounds.reduce((most, other) => (other[1] > most[1] ? other : most))[0],
    headroomMs: Math.max(0, ms - sumAt(({ compute, memory, dispatch }) => Math.max(compute, memory, dispatch))),
    workgroups: sum(({ grid: [x, y, z] }) => x * y * z),
  };
}

function ratio(a: number, b: number): number {
  return b > 0 ? a / b : 0;
}
