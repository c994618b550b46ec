import { InputError } from "../errors.ts";
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

/** The samples of a data set that its table does not rule out. */
export interface UsableSamples {
  /** One or more. */
  readonly samples: readonly DataSample[];
  /** Rows that were left out so far; it takes those whose film cannot be read. */
  readonly skipped: Skipped;
  /** The folder that the paths of the images start from. */
  readonly folder: string;
}

/**
 * The samples of a data set as far as its table can be used. Whether the images can be read shows later: whoever reads
 * one that cannot leaves it out through `skipped`, against the same share.
 * @throws InputError where there is no data set, none of its samples can be used, or more than the share cannot
 */
export async function usableSamples(location: string, { skipShare, tell, ...options }: UsableSamplesOptions): Promise<UsableSamples> {
  const dataset = await openDataset(location, { ...options, onProblem: ({ line, fact }) => skipped.leaveOut(line, fact) });
  const skipped = skippedSamples(dataset.file, skipShare, tell);
  const samples: DataSample[] = [];
  for await (const sample of dataset) samples.push(sample);
  skipped.limit(samples.length);
  if (samples.length === 0) throw new InputError(dataset.file, `has no sample${options.split ? ` in the split ${options.split}` : ""} that can be used; attnscope data check lists what is wrong`);
  return { samples, skipped, folder: options.images ?? dataset.folder };
}
