import { TrainingError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import type { BatchPosition } from "./data_order.ts";
import { firstNotFinite } from "./finite.ts";
import { type LossState, type LossWatch, watchLoss } from "./loss_watch.ts";
import type { Optimisation, StepResult } from "./optimisation.ts";
import { type Recipe, globalBatch } from "./recipe.ts";

/** What is recorded of a step. */
export interface StepRecord {
  /** Optimiser steps taken, this one included. */
  step: number;
  /** Mean of the batches' losses. */
  loss: number;
  /** Of this step, by the recipe's schedule: 0 in the first of a warm-up. */
  learningRate: number;
  /** Decay of the weights' average in this step, 0 in the first (diffusers' EMAModel); 0 where none is kept. */
  emaDecay: number;
  /** Global norm before clipping; absent in a step that was skipped, whose gradients were not finite. */
  gradientNorm: number | undefined;
  /** Factor of the loss as the step left it; 1 with f32. */
  lossScale: number;
  /** Steps skipped so far. */
  skippedSteps: number;
  /** On the clock, the reading of the data included. */
  seconds: number;
  /** The global batch over `seconds`. */
  samplesPerSecond: number;
}

/** A run: what is trained, on what, and what happens between the steps. */
export interface TrainingRun {
  /** `maxSteps`, `accumulationSteps` and the batch size are read; the rest was recorded in `optimisation`. */
  recipe: Recipe;
  /** The recorded passes and update, as the steps before `firstStep` left them. */
  optimisation: Optimisation;
  /** Puts a batch into the tensors that the loss reads. */
  fillBatch: (position: BatchPosition) => Promise<void> | void;
  /** The loss that `optimisation` recorded: computed once more where the first tensor that is not finite is looked for. */
  loss: () => Tensor;
  /** Steps that were taken before. */
  firstStep: number;
  /** Called after every step. */
  onStep: (record: StepRecord) => Promise<void> | void;
  /** Writes a checkpoint of what `steps` steps made. */
  save: (steps: number) => Promise<unknown>;
  /** Steps between checkpoints; the last step is one too. None is written while the loss is far above its lowest. */
  saveEvery: number;
  /** Looks at the model now and then. */
  validate?: (steps: number) => Promise<unknown>;
  /** Steps between validations; the last step has one too. Default: `saveEvery`. */
  validateEvery?: number;
  /** Ends a run whose loss diverges; it knows the losses of the steps before. Default: one that never does. */
  lossWatch?: LossWatch;
  /** When aborted, the step is finished and saved, and `train` throws its reason. */
  signal?: AbortSignal;
}

/**
 * Trains to the recipe's last step. Throws the signal's reason when interrupted, and TrainingError when the loss or
 * the gradients are no longer finite, or the loss diverges or is far above its lowest at the end. Nothing is saved then,
 * nor while it is: the last checkpoint holds what was good.
 */
export async function train(run: TrainingRun): Promise<void> {
  const { recipe, signal, lossWatch = watchLoss(0) } = run;
  signal?.throwIfAborted();
  let savedSteps = run.firstStep;
  const save = async (steps: number) => {
    await run.save(steps);
    savedSteps = steps;
  };
  for (let step = run.firstStep; step < recipe.maxSteps; step++) {
    const started = performance.now();
    const result = await takeStep(run, step);
    const steps = step + 1;
    const isLast = steps === recipe.maxSteps;
    await checkFinite(run, result, step, savedSteps);
    const record = recordOf(recipe, result, steps, (performance.now() - started) / 1000);
    await run.onStep(record);
    const state = lossWatch.add(steps, record.loss);
    checkConverging(state, { steps, isLast, savedSteps });
    const isSaved = isLast || (!state.rising && steps % run.saveEvery === 0);
    if (isSaved) await save(steps);
    if (isLast || steps % (run.validateEvery ?? run.saveEvery) === 0) await validate(run, steps);
    if (isLast || !signal?.aborted) continue;
    if (!isSaved && !state.rising) await save(steps);
    signal.throwIfAborted();
  }
}

/** Looks at the model, until interrupted: what was trained is yet to be saved then. */
async function validate({ validate, signal }: TrainingRun, steps: number): Promise<void> {
  if (!validate || signal?.aborted) return;
  await validate(steps).catch((error: unknown) => {
    if (!signal?.aborted) throw error;
  });
}

async function takeStep({ recipe, optimisation, fillBatch }: TrainingRun, step: number): Promise<StepResult> {
  for (let part = 0; part < recipe.accumulationSteps; part++) {
    await fillBatch({ step, part });
    optimisation.accumulate(part);
  }
  return optimisation.update(step);
}

function recordOf(recipe: Recipe, { losses, learningRate, emaDecay, state }: StepResult, step: number, seconds: number): StepRecord {
  const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  const gradientNorm = state.gradientFactor === 0 ? undefined : state.gradientNorm;
  return { step, loss, learningRate, emaDecay, gradientNorm, lossScale: state.lossScale, skippedSteps: state.skippedSteps, seconds, samplesPerSecond: globalBatch(recipe) / seconds };
}

/** What is left of a run that failed, and what to do. */
function advice(savedSteps: number): string {
  if (savedSteps === 0) return "no checkpoint was saved before: start another run with a lower learning rate, or from other weights with --start-from";
  return `the checkpoint of step ${savedSteps} is kept: start another run from it with --start-from and a lower learning rate`;
}

/** With a loss scale to lower, a step whose gradients overflow is skipped; without one the run has come to an end. */
async function checkFinite({ optimisation, fillBatch, loss }: TrainingRun, { losses, state }: StepResult, step: number, savedSteps: number): Promise<void> {
  if (state.gradientFactor !== 0 || state.lossScale > 1) return;
  const gradients = await optimisation.notFinite();
  const part = losses.findIndex((value) => !Number.isFinite(value));
  await fillBatch({ step, part: Math.max(part, 0) });
  const forward = await firstNotFinite(optimisation.parts, loss);
  const facts = [
    part < 0 ? "the loss is finite" : `the loss is ${losses[part]}`,
    ...(forward ? [`on the way there ${forward} is the first that is not finite`] : []),
    ...(gradients.length > 0 ? [`the gradients of ${gradients.length} parameters are not finite, on the way back first that of ${gradients[0]}`] : []),
  ];
  throw new TrainingError(`training: stopped at step ${step + 1}: ${facts.join(", ")}; ${advice(savedSteps)}`);
}

/** A run must not end, nor go on for ever, with a loss that is far above its lowest. */
function checkConverging({ loss, lowest, lowestStep, rising, diverged }: LossState, { steps, isLast, savedSteps }: { steps: number; isLast: boolean; savedSteps: number }): void {
  if (!diverged && !(isLast && rising)) return;
  const fact = `it is ${loss.toPrecision(3)} and has been far above ${lowest.toPrecision(3)}, its lowest at step ${lowestStep}, ${diverged ? "for too long" : "up to the last step"}`;
  throw new TrainingError(`training: stopped at step ${steps}: the loss diverges: ${fact}; ${advice(savedSteps)}`);
}
