import { Gradients, backward } from "../autograd.ts";
import { AttnscopeError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Step } from "../gpu/step.ts";
import { fill, zeros } from "../ops/fill.ts";
import { type OptimizerState, adamW, emaDecay, lossGradient, optimizerState, readOptimizerState, startStep } from "../ops/optim.ts";
import { copyInto } from "../ops/pointwise.ts";
import { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import type { Recipe } from "./recipe.ts";
import { learningRateAt } from "./schedule_lr.ts";
import type { TrainedPart } from "./trained_part.ts";

/** What a step of the optimiser did. */
export interface StepResult {
  /** The loss of each batch that was added up, without the loss scale. */
  losses: number[];
  /** Of this step, by the recipe's schedule. */
  learningRate: number;
  /** Decay of the weights' average in this step; 0 in the first, and where none is kept. */
  emaDecay: number;
  /** As the step left it; `gradientFactor` 0 says that it was skipped. */
  state: OptimizerState;
}

/** What the passes of a batch leave: its loss f32 [1], and the gradients of the parameters in their order. */
interface Passed {
  loss: Tensor;
  gradients: readonly Tensor[];
}

/**
 * The passes and the update of a run: each recorded once and replayed, with all that changes from step to step in
 * tensors. Nothing is read back in between.
 */
export class Optimisation {
  /** The models in training; gradients are in their order. */
  readonly parts: readonly TrainedPart[];
  /** f32 [8]: loss scale, steps, bias corrections (`OptimizerState`). */
  readonly state: Tensor;
  readonly #gpu: Gpu;
  readonly #recipe: Recipe;
  /** What gradients are added to over the batches of a step; of a single batch, the passes' own serve. */
  readonly #sums: Gradients | undefined;
  /** f32 [2]: of `adamW`. */
  readonly #rates: Tensor;
  readonly #losses: Tensor;
  readonly #zero: Step<void> | undefined;
  readonly #passes: Step<Passed>;
  readonly #update: Step<void>;

  /**
   * Records a batch's passes and the optimiser's step. `loss` computes the loss f32 [1] of the batch that stands in
   * the caller's tensors; `state` is that of an earlier run.
   */
  constructor(gpu: Gpu, recipe: Recipe, parts: readonly TrainedPart[], loss: () => Tensor, state?: Partial<OptimizerState>) {
    this.#gpu = gpu;
    this.#recipe = recipe;
    this.parts = parts;
    const scales = recipe.dtype === "f16";
    this.state = gpu.keep(optimizerState(gpu, state ?? { lossScale: scales ? recipe.lossScale : 1 }));
    this.#rates = gpu.keep(zeros(gpu, [2]));
    this.#losses = gpu.keep(zeros(gpu, [recipe.accumulationSteps]));
    const watched = parts.flatMap((part) => [...part.stored.values()].map((parameter) => parameter.tensor));
    this.#sums = recipe.accumulationSteps > 1 ? new Gradients() : undefined;
    for (const tensor of watched) this.#sums?.add(tensor, zeros(gpu, tensor.shape));
    this.#passes = gpu.record("train", () => this.#recordPasses(watched, loss));
    const { gradients } = this.#passes.result;
    this.#zero = this.#sums && gpu.record("zero_gradients", () => gradients.forEach((gradient) => fill(gradient, 0)));
    this.#update = gpu.record("optimizer", () => this.#recordUpdate(gradients));
  }

  #recordPasses(watched: readonly Tensor[], loss: () => Tensor): Passed {
    const tape = new Tape(this.#gpu);
    tape.watch(watched);
    const y = tape.run(loss);
    const gradients = backward(tape, y, lossGradient(this.state, this.#recipe.accumulationSteps), this.#sums);
    return { loss: y, gradients: watched.map((tensor) => gradients.get(tensor) ?? zeros(this.#gpu, tensor.shape)) };
  }

  #recordUpdate(gradients: readonly Tensor[]): void {
    const { betas, eps, weightDecay, maxNorm, dtype, scaleGrowth, scaleBackoff, scaleInterval } = this.#recipe;
    const scaling = dtype === "f16" ? { growthFactor: scaleGrowth, backoffFactor: scaleBackoff, growthInterval: scaleInterval } : undefined;
    startStep(this.state, gradients, { betas, maxNorm: maxNorm > 0 ? maxNorm : undefined, scaling });
    const options = { state: this.state, rates: this.#rates, betas, eps, weightDecay };
    let next = 0;
    for (const part of this.parts) {
      for (const [name, stored] of part.stored) {
        const [weight, mean, square] = [part.weights, part.means, part.squares].map((set) => tensorOf(set, name));
        const separate = stored.tensor.buffer === weight.buffer ? undefined : stored.tensor;
        const average = part.ema && tensorOf(part.ema, name);
        adamW({ weight, gradient: gradients[next++], mean, square, stored: separate, average }, options);
      }
    }
  }

  /** Adds the gradients of batch `part` of a step, which stands in the loss's tensors now; the first starts anew. */
  accumulate(part: number): void {
    if (part === 0) this.#zero?.replay();
    this.#passes.replay();
    this.#gpu.scope("train", () => copyInto(this.#losses, this.#passes.result.loss, part));
  }

  /** Takes step `step`, counted from 0, and says what it did. */
  async update(step: number): Promise<StepResult> {
    const learningRate = learningRateAt(this.#recipe, step);
    const decay = emaDecay(step + 1, this.#recipe.emaDecay);
    this.#rates.write(Float32Array.of(learningRate, 1 - decay));
    this.#update.replay();
    const [losses, state] = await Promise.all([this.#losses.read(), readOptimizerState(this.state)]);
    return { losses: [...losses], learningRate, emaDecay: decay, state };
  }

  /** Names of the parameters, the last in the model first, whose gradient of the last step is not finite. */
  async notFinite(): Promise<string[]> {
    const names: string[] = [];
    const parameters = this.parts.flatMap((part) => [...part.stored.keys()].map((name) => `${part.folder}/${name}`));
    for (const [i, gradient] of this.#passes.result.gradients.entries()) {
      const values = await gradient.read();
      if (!values.every(Number.isFinite)) names.unshift(parameters[i]);
    }
    return names;
  }

  /** Bytes that the recorded passes hold beside weights, moments and gradients. */
  get passBytes(): number {
    const { bytes, result } = this.#passes;
    return this.#sums ? bytes : bytes - result.gradients.reduce((sum, { buffer }) => sum + buffer.size, 0);
  }

  /** Gives back the memory of gradients, moments and recorded passes; the parameters stay. */
  free(): void {
    for (const step of [this.#zero, this.#passes, this.#update]) step?.free();
    this.#sums?.free();
    for (const tensor of [this.state, this.#rates, this.#losses]) tensor.free();
  }
}

function tensorOf(set: TrainedPart["weights"], name: string): Tensor {
  const parameter = set.get(name);
  if (!parameter) throw new AttnscopeError(`optimisation: ${name} is not among the part's tensors`);
  return parameter.tensor;
}
