import type { DataSample } from "../data/layouts/layout.ts";
import { type OpenDatasetOptions, openDataset } from "../data/layouts/open_node.ts";
import { type Skipped, skippedSamples } from "./skipped.ts";

/** Options of `usableSamples`. */
export interface UsableSamplesOptions extends Omit<OpenDatasetOptions, "onProblem"> {
  /** Share of the samples that may be left out. */
  readonly skipShare: number;
  /** Prints a line for people: one for each sample that is left out. */
  readonly tell: (line: string) => void;
}

/**
 * The samples of a data set as far as its table can be used. Whether the images can be read shows later: whoever reads
 * one that cannot leaves it out through `skipped`, against the same share.
 * @throws InputError where there is no data set, or more than the share cannot be used
 */
export async function usableSamples(location: string, { skipShare, tell, ...options }: UsableSamplesOptions): Promise<{ samples: DataSample[]; skipped: Skipped }> {
  const dataset = await openDataset(location, { ...options, onProblem: ({ line, fact }) => skipped.leaveOut(line, fact) });
  const skipped = skippedSamples(dataset.file, skipShare, tell);
  const samples: DataSample[] = [];
  for await (const sample of dataset) samples.push(sample);
  skipped.limit(samples.length);
  return { samples, skipped };
}
