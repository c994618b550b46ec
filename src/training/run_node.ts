import { join } from "node:path";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Model } from "../models/parameters.ts";
import type { TensorSource } from "../weights/checkpoint.ts";
import { type Configuration, checkpointFiles } from "./checkpoint.ts";
import { findLatestCheckpoint, hasCheckpoints, saveCheckpoint } from "./checkpoint_node.ts";
import { type StepRecord, train } from "./loop.ts";
import { watchLoss } from "./loss_watch.ts";
import { METRICS_FILE, type MetricsFile, openMetrics } from "./metrics_node.ts";
import { Optimisation } from "./optimisation.ts";
import type { Recipe } from "./recipe.ts";
import { resumeSources } from "./resume_node.ts";
import { lockRun } from "../runs/run_lock_node.ts";
import { type PartPlace, type TrainedPart, createTrainedPart, freeTrainedPart } from "./trained_part.ts";
import type { TrainingTask } from "./unet_training.ts";

/** A model that a run trains, and what it starts from. */
export interface RunPart {
  /** Where checkpoints put its weights. */
  readonly place: PartPlace;
  /** Built and not loaded: the run fills its parameters, and frees them in the end. */
  readonly model: Model;
  /** By the model's keys, or with the place's prefix before them. A file is closed once it was read, and where the run ends before. */
  readonly start: TensorSource & {
    /** Releases the file; does nothing where that is done. */
    close?(): Promise<void>;
  };
}

/** A run in a folder of its own: checkpoints and metrics. */
export interface RunOptions {
  /** The run's folder, made where it is not there. */
  readonly out: string;
  /** With `about`, what the run is: to go on, it must be the checkpoint's (see `checkSameConfiguration`). */
  readonly recipe: Recipe;
  /** One or more; each has a folder of its own in the checkpoints. */
  readonly parts: readonly RunPart[];
  /** The loss and its batches; the caller frees it. */
  readonly task: TrainingTask;
  /** What the run is about besides the recipe: models and data. */
  readonly about: Configuration;
  /** Go on from the latest checkpoint in the folder, or start where there is none. */
  readonly resume: boolean;
  /** Steps between checkpoints; the last step is one too. */
  readonly saveEvery: number;
  /** How many checkpoints are kept. */
  readonly keep: number;
  /** How many times its lowest a loss must stay above to end the run; 0: never. See `watchLoss`. */
  readonly divergence: number;
  /** Called every `validateEvery` steps with the parts as they are. */
  readonly validate?: (steps: number, parts: readonly TrainedPart[], signal?: AbortSignal) => Promise<unknown>;
  /** Steps between validations; the last step has one too. Default: `saveEvery`. */
  readonly validateEvery?: number;
  /** Called after every step, once its record is on the disk. */
  readonly onStep: (record: StepRecord) => void;
  /** Prints a line for people. */
  readonly tell: (line: string) => void;
  /** Interrupts the run: the step is finished and saved, then it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Where a run ended. */
export interface RunResult {
  /** The last step's record; absent where the run had ended before. */
  last?: StepRecord;
  /** Steps that were taken in all. */
  steps: number;
  /** Folder of its last checkpoint. */
  checkpoint: string | undefined;
}

/**
 * Trains, from the start or from the latest checkpoint, to the recipe's last step.
 * @returns what it came to
 * @throws InputError where the folder holds another run, or one that `resume` was not asked for, or another process
 * trains there; the signal's reason; TrainingError where the run came to a bad end (see `train`)
 */
export async function runTraining(gpu: Gpu, options: RunOptions): Promise<RunResult> {
  const lost = new AbortController();
  const unlock = await lockRun(options.out, "trained", (error) => lost.abort(error));
  const signal = AbortSignal.any([lost.signal, ...(options.signal ? [options.signal] : [])]);
  try {
    return await runLocked(gpu, { ...options, signal }, lost.signal);
  } finally {
    for (const { start } of options.parts) await start.close?.();
    await unlock();
  }
}

/** @param lost aborted when another process has taken the folder: nothing is written there any more */
async function runLocked(gpu: Gpu, options: RunOptions, lost: AbortSignal): Promise<RunResult> {
  const { out, recipe, task, tell, keep } = options;
  const configuration: Configuration = { recipe, ...options.about };
  if (!options.resume && (await hasCheckpoints(out))) throw new InputError(out, "holds a run already; go on with --resume latest, or choose another --out");
  const found = options.resume ? await findLatestCheckpoint(out, configuration, tell) : undefined;
  const earlier = found && (await resumeSources(found.folder, options.parts.map(({ place }) => place)));
  const firstStep = found?.step ?? 0;
  if (found) tell(`going on from ${found.folder}`);
  const parts: TrainedPart[] = [];
  let optimisation: Optimisation | undefined;
  let opened: MetricsFile | undefined;
  const result: RunResult = { steps: firstStep, checkpoint: found?.folder };
  try {
    const metrics = (opened = await openMetrics(join(out, METRICS_FILE), firstStep));
    const lossWatch = watchLoss(options.divergence);
    for (const { step, loss } of metrics.earlier) lossWatch.add(step, loss);
    for (const { place, model, start } of options.parts) {
      const sources = earlier?.parts.get(place.folder) ?? { weights: start };
      parts.push(await createTrainedPart(gpu, model, place, sources, { dtype: recipe.dtype, ema: recipe.emaDecay > 0 }));
      await start.close?.();
    }
    const running = (optimisation = new Optimisation(gpu, recipe, parts, task.loss, earlier?.state));
    await train({
      recipe, optimisation: running, loss: task.loss, fillBatch: task.fillBatch, firstStep, lossWatch,
      saveEvery: options.saveEvery, validateEvery: options.validateEvery, signal: options.signal,
      validate: options.validate && ((steps) => options.validate?.(steps, parts, options.signal) as Promise<unknown>),
      async save(steps) {
        lost.throwIfAborted();
        result.checkpoint = await saveCheckpoint(out, steps, configuration, checkpointFiles(parts, running.state), keep);
      },
      async onStep(record) {
        lost.throwIfAborted();
        Object.assign(result, { last: record, steps: record.step });
        await metrics.append(record);
        options.onStep(record);
      },
    });
  } finally {
    await earlier?.close();
    await opened?.close();
    optimisation?.free();
    for (const part of parts) freeTrainedPart(part);
  }
  return result;
}
