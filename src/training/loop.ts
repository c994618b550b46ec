import { AttnscopeError } from "../errors.ts";
import type { BatchPosition } from "./data_order.ts";
import type { Optimisation, StepResult } from "./optimisation.ts";
import type { Recipe } from "./recipe.ts";

/** One line of a run's log. */
export interface StepRecord {
  /** Optimiser steps taken, this one included. */
  step: number;
  /** Mean of the batches' losses. */
  loss: number;
  learningRate: number;
  emaDecay: number;
  /** Global norm before clipping; absent in a step that was skipped, whose gradients were not finite. */
  gradientNorm: number | undefined;
  lossScale: number;
  /** Steps skipped so far. */
  skippedSteps: number;
  seconds: number;
}

/** A run: what is trained, on what, and what happens between the steps. */
export interface TrainingRun {
  recipe: Recipe;
  optimisation: Optimisation;
  /** Puts a batch into the tensors that the loss reads. */
  fillBatch: (position: BatchPosition) => Promise<void> | void;
  /** Steps that were taken before. */
  firstStep: number;
  /** Called after every step. */
  onStep: (record: StepRecord) => Promise<void> | void;
  /** Writes a checkpoint of what `steps` steps made. */
  save: (steps: number) => Promise<unknown>;
  saveEvery: number;
  /** Looks at the model now and then. */
  validate?: (steps: number) => Promise<unknown>;
  validateEvery?: number;
  /** When aborted, the step is finished and saved, and `train` throws its reason. */
  signal?: AbortSignal;
}

/**
 * Trains to the recipe's last step. Throws the signal's reason when interrupted, and AttnscopeError when the loss or
 * the gradients are no longer finite: then nothing is saved, the last checkpoint holds what was good.
 */
export async function train(run: TrainingRun): Promise<void> {
  const { recipe, signal } = run;
  for (let step = run.firstStep; step < recipe.maxSteps; step++) {
    signal?.throwIfAborted();
    const started = performance.now();
    const result = await takeStep(run, step);
    const steps = step + 1;
    await checkFinite(run.optimisation, result, steps);
    await run.onStep(recordOf(result, steps, (performance.now() - started) / 1000));
    if (signal?.aborted || steps % run.saveEvery === 0 || steps === recipe.maxSteps) await run.save(steps);
    if (run.validate && !signal?.aborted && (steps % (run.validateEvery ?? run.saveEvery) === 0 || steps === recipe.maxSteps)) await run.validate(steps);
  }
}

async function takeStep({ recipe, optimisation, fillBatch }: TrainingRun, step: number): Promise<StepResult> {
  for (let part = 0; part < recipe.accumulationSteps; part++) {
    await fillBatch({ step, part });
    optimisation.accumulate(part);
  }
  return optimisation.update(step);
}

function recordOf({ losses, learningRate, emaDecay, state }: StepResult, step: number, seconds: number): StepRecord {
  const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  const gradientNorm = state.gradientFactor === 0 ? undefined : state.gradientNorm;
  return { step, loss, learningRate, emaDecay, gradientNorm, lossScale: state.lossScale, skippedSteps: state.skippedSteps, seconds };
}

/** With a loss scale to lower, a step whose gradients overflow is skipped; without one the run has come to an end. */
async function checkFinite(optimisation: Optimisation, { losses, state }: StepResult, step: number): Promise<void> {
  if (state.gradientFactor !== 0 || state.lossScale > 1) return;
  const names = await optimisation.notFinite();
  const loss = losses.find((value) => !Number.isFinite(value));
  const first = loss === undefined ? "the loss is finite" : `the loss is ${loss}`;
  const gradients = names.length > 0 ? `, the gradients of ${names.length} parameters are not, on the way back first that of ${names[0]}` : "";
  throw new AttnscopeError(`training: stopped at step ${step}: ${first}${gradients}; the last checkpoint is kept: go on from it with a lower learning rate`);
}
