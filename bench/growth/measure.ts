import { median } from "../../src/statistics.ts";
import { type RoundTimes, repeatsOf, timeInTurns, timeRuns } from "../harness.ts";
import type { RunFacts } from "../tools/results_file.ts";
import type { Curve, CurveFacts } from "./curves.ts";
import { type Fit, fitLine, fitPower } from "./fit.ts";
import type { Subject } from "./works.ts";

/** A point of a curve. */
export interface MeasuredPoint extends RoundTimes {
  x: number;
  medianMs: number;
  leastMs: number;
  mostMs: number;
  /** Floating-point operations of a run, as the ops count them. */
  flops: number;
}

/** A line of a curve, and the law through its medians. */
export interface MeasuredSeries {
  name: string;
  points: MeasuredPoint[];
  fit: Fit;
}

export interface MeasuredCurve extends CurveFacts {
  series: MeasuredSeries[];
}

/** What `npm run bench:growth -- --save FILE` writes. */
export interface GrowthFile extends RunFacts {
  format: "attnscope growth 1";
  model: string;
  warmUps: number;
  rounds: number;
  curves: MeasuredCurve[];
}

/** Times all points of a curve in turns, and fits its law to each series. */
export async function measureCurve(subject: Subject, { series: seriesOf, ...facts }: Curve, rounds: number): Promise<MeasuredCurve> {
  const { signal, ldm: { gpu } } = subject;
  const series = seriesOf(subject);
  const places = series.flatMap(({ open, x }, of) => x.map((at) => ({ of, x: at, work: open(at), repeats: 1, flops: 0 })));
  try {
    for (const place of places) {
      signal.throwIfAborted();
      place.repeats = await repeatsOf(gpu, place.work.run);
    }
    const timers = places.map((place) => async () => {
      signal.throwIfAborted();
      const before = gpu.flopsSubmitted;
      const ms = await timeRuns(gpu, place.work.run, place.repeats);
      place.flops = (gpu.flopsSubmitted - before) / place.repeats;
      return ms;
    });
    const times = await timeInTurns(gpu, timers, rounds);
    const points = places.map(({ of, x, flops }, i) => ({ of, point: pointOf(x, flops, times[i]) }));
    return { ...facts, series: series.map(({ name }, s) => fitted(name, facts.law, points.filter(({ of }) => of === s).map(({ point }) => point))) };
  } finally {
    for (const { work } of places) work.free();
  }
}

function pointOf(x: number, flops: number, times: RoundTimes): MeasuredPoint {
  const { roundsMs } = times;
  return { x, medianMs: median(roundsMs), leastMs: Math.min(...roundsMs), mostMs: Math.max(...roundsMs), flops, ...times };
}

/** A series with the law through its medians. */
export function fitted(name: string, law: Fit["law"], points: MeasuredPoint[]): MeasuredSeries {
  const fit = law === "line" ? fitLine : fitPower;
  return { name, points, fit: fit(points.map(({ x }) => x), points.map(({ medianMs }) => medianMs)) };
}
