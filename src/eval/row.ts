import type { DataSample } from "../data/layouts/layout.ts";
import { type TruthInputs, truthMetrics } from "../grounding/metrics.ts";
import { firstAlternative } from "../text/captions.ts";
import type { PlannedRow, RowKind } from "./plan.ts";

/** Section 8 of the method, in the order of the tables, and what the columns are called. */
export const metricColumns = {
  cnr: "cnr",
  absoluteCnr: "absolute_cnr",
  aucRoc: "auc_roc",
  top1: "top1",
  iou: "iou",
  miou: "miou",
  boxIou: "box_iou",
  boxMiou: "box_miou",
  distance: "distance",
} as const;

export type MetricName = keyof typeof metricColumns;
export const metricNames = Object.keys(metricColumns) as MetricName[];

/** Values of one map; null where a metric is not defined: the distance of several boxes, the AUC of boxes that fill the image. */
export type RowMetrics = Readonly<Record<MetricName, number | null>>;

/** One map, measured: a line of the results. */
export interface EvalRow {
  /** Number of the sample in the data set (of the split that is evaluated), from 0. */
  readonly sample: number;
  readonly kind: RowKind;
  readonly id: string;
  /** Path of the image as the data set has it. */
  readonly image: string;
  readonly label: string;
  /** The sample's phrase. */
  readonly phrase: string;
  /** What was grounded: the phrase, or that of a control. */
  readonly text: string;
  /** Path of the image whose boxes the map was measured against, where it is another. */
  readonly boxesOf?: string;
  /** Number of the sample whose boxes those are; rows of earlier versions lack it. */
  readonly truth?: number;
  readonly metrics: RowMetrics;
  /** SSIM of the biases and the s of the merge; absent without one. */
  readonly ssim?: number;
  readonly s?: number;
  /** Threshold of the mask. */
  readonly threshold: number;
  /** Why there are no metrics. */
  readonly note?: string;
  /** Where the map is not what the settings say. */
  readonly deviation?: string;
}

/** A map and its mask, whatever made them. */
export interface MeasuredMap extends Omit<TruthInputs, "truth" | "boxCount">, Pick<EvalRow, "deviation"> {
  readonly threshold: number;
  readonly ssim?: number;
  readonly s?: number;
}

/** What a map is measured against: the boxes of a film, as `truthMask` makes them. */
export interface RowTruth extends Pick<TruthInputs, "truth" | "boxCount"> {
  /** Path of that film's image as the data set has it. */
  readonly image: string;
}

/** Measures a map. @param image path of the sample's image as the data set has it */
export function measureRow(planned: PlannedRow, sample: DataSample, image: string, map: MeasuredMap, truth: RowTruth): EvalRow {
  const metrics = measure(map, truth);
  return {
    sample: planned.sample,
    kind: planned.kind,
    id: sample.id,
    image,
    label: sample.label,
    phrase: firstAlternative(sample.caption),
    text: planned.text,
    ...(truth.image === image ? {} : { boxesOf: truth.image, truth: planned.truth }),
    metrics: metrics ?? (Object.fromEntries(metricNames.map((name) => [name, null])) as Record<MetricName, null>),
    ssim: map.ssim,
    s: map.s,
    threshold: map.threshold,
    ...(metrics ? {} : { note: "the boxes lie outside of the part that the model sees" }),
    ...(map.deviation === undefined ? {} : { deviation: map.deviation }),
  };
}

/** The metrics of a map, or undefined where the crop has left nothing of the boxes. */
function measure(map: MeasuredMap, { truth, boxCount }: RowTruth): RowMetrics | undefined {
  if (!truth.includes(1)) return undefined;
  const values = truthMetrics({ ...map, truth, boxCount });
  return Object.fromEntries(metricNames.map((name) => [name, finite(values[name])])) as Record<MetricName, number | null>;
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** What tells a row from all others of a run. */
export function rowKey({ sample, kind }: Pick<EvalRow, "sample" | "kind">): string {
  return `${sample} ${kind}`;
}
