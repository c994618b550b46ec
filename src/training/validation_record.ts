import type { GroundingMetrics } from "../grounding/metrics.ts";

/** Metrics by which a training is judged on the way. */
export const validationMetrics = ["cnr", "aucRoc", "top1", "miou"] as const;
/** The values of `validationMetrics` for one film. */
export type ValidationMetrics = Pick<GroundingMetrics, (typeof validationMetrics)[number]>;

/** One film that was looked at. */
export interface ValidatedFilm {
  /** The data set's own, such as a dicom_id. */
  readonly id: string;
  /** The first alternative of its caption. */
  readonly phrase: string;
  /** File of the map over the film, beside the record. */
  readonly picture: string;
  /** Absent where the data set has no boxes for it. */
  readonly metrics?: ValidationMetrics;
}

/** What validation left after a step: metrics.json of its folder. */
export interface ValidationRecord {
  /** Optimiser steps that were taken before. */
  readonly step: number;
  /** Means over the films that have boxes; null where none has a value. */
  readonly mean: Readonly<Record<keyof ValidationMetrics, number | null>>;
  /** In the data set's order. */
  readonly films: readonly ValidatedFilm[];
}

/** The record of a step. */
export function validationRecord(step: number, films: readonly ValidatedFilm[]): ValidationRecord {
  const mean = (name: keyof ValidationMetrics) => {
    const values = films.flatMap(({ metrics }) => (metrics && Number.isFinite(metrics[name]) ? metrics[name] : []));
    return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  };
  return { step, mean: { cnr: mean("cnr"), aucRoc: mean("aucRoc"), top1: mean("top1"), miou: mean("miou") }, films };
}
