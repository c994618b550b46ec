import { adamw as adamwScalar, adamwVec4, startStep as startStepKernel, sumOfSquares as sumOfSquaresKernel } from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../tensor.ts";
import { sum } from "./accumulate.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";
import { elementPlan, reductionBlocks } from "./grid.ts";
import { scale, sliceLast } from "./pointwise.ts";

// A step is decided on the device: no readback stands between the backward pass and the update, so that all of it can
// be recorded and replayed. The host reads the state when it wants to know.

/** What an optimiser keeps between steps, as f32 [8] on the device (kernels/lib/optimizer_state.wgsl). */
export interface OptimizerState {
  /** Factor of the loss: gradients are those of the scaled loss until the update. */
  lossScale: number;
  /** Steps taken since the loss scale changed. */
  goodSteps: number;
  /** Steps taken. */
  steps: number;
  /** Steps left out because a gradient was not finite. */
  skippedSteps: number;
  /** Norm of all gradients in the last step, without the loss scale and before clipping. */
  gradientNorm: number;
  /** What the last step multiplied gradients with: clipping over loss scale, 0 when it was skipped. */
  gradientFactor: number;
  /** 1 - beta1^steps */
  correction1: number;
  /** 1 - beta2^steps */
  correction2: number;
}

const stateNames = ["lossScale", "goodSteps", "steps", "skippedSteps", "gradientNorm", "gradientFactor", "correction1", "correction2"] as const;

/** The state before the first step, or one that was read before, as a tensor. */
export function optimizerState(gpu: Gpu, state: Partial<OptimizerState> = {}): Tensor {
  const start: Partial<OptimizerState> = { lossScale: 1, ...state };
  return gpu.tensor(Float32Array.from(stateNames, (name) => start[name] ?? 0), [stateNames.length]);
}

/** Reads the state back. Its numbers give the same tensor again. */
export async function readOptimizerState(state: Tensor): Promise<OptimizerState> {
  return optimizerStateOf(await state.read());
}

/** The values of a state's tensor by name. */
export function optimizerStateOf(values: ArrayLike<number>): OptimizerState {
  return Object.fromEntries(stateNames.map((name, i) => [name, values[i]])) as unknown as OptimizerState;
}

/** The loss scale over `parts`, the batches whose gradients are added up: the gradient to start a backward pass with, f32 [1]. */
export function lossGradient(state: Tensor, parts = 1): Tensor {
  const place = stateNames.indexOf("lossScale");
  return scale(sliceLast(state, place, place + 1), 1 / parts);
}

/** Sum of the squares of all elements of f32 tensors, in a fixed order: f32 [1], the square of their global norm. */
export function sumOfSquares(tensors: readonly Tensor[]): Tensor {
  const [{ gpu }] = tensors;
  return gpu.scope("sum_of_squares", () => {
    const blocks = tensors.map((x) => reductionBlocks(x.size, gpu.adapter.software));
    const parts = gpu.empty([blocks.reduce((a, b) => a + b)]);
    let first = 0;
    for (const [i, x] of tensors.entries()) {
      gpu.run(sumOfSquaresKernel, {
        bindings: { x, parts },
        params: { count: x.size, blocks: blocks[i], first },
        prelude: {},
        grid: blocks[i],
        flops: 2 * x.size,
        bytes: bytesOf(x),
      });
      first += blocks[i];
    }
    return sum(parts);
  });
}

/** Decay rates of the moments' running means. */
export type Betas = readonly [beta1: number, beta2: number];

/** Options of `startStep`. */
export interface StartStepOptions {
  /** Those of `adamW`. */
  betas: Betas;
  /** Greatest global norm of the gradients; longer ones are shortened to it. Default: no clipping. */
  maxNorm?: number;
  /** How the loss scale follows the gradients (torch.amp.GradScaler). Default: it stays. */
  scaling?: {
    /** Of the scale, after `growthInterval` steps in a row without overflow; 1 or more. */
    growthFactor: number;
    /** Of the scale, after a step whose gradients are not finite; at most 1. */
    backoffFactor: number;
    /** In steps, counted anew after every change of the scale. */
    growthInterval: number;
  };
}

/**
 * Decides what the step does, from the gradients of all parameters (f32, of the scaled loss): measures their global
 * norm, skips the step when it is not finite, else counts it and sets the clipping (torch.nn.utils.clip_grad_norm_) and
 * the bias corrections; moves the loss scale. To be called once a step, before `adamW` of each parameter.
 */
export function startStep(state: Tensor, gradients: readonly Tensor[], options: StartStepOptions): void {
  const { betas, maxNorm, scaling = { growthFactor: 1, backoffFactor: 1, growthInterval: Number.MAX_SAFE_INTEGER } } = options;
  checkShape("startStep", "state", state, [stateNames.length]);
  state.gpu.scope("start_step", () => {
    state.gpu.run(startStepKernel, {
      bindings: { squares: sumOfSquares(gradients), state },
      params: {
        max_norm: maxNorm ?? 0,
        one_minus_beta1: 1 - betas[0],
        one_minus_beta2: 1 - betas[1],
        growth: scaling.growthFactor,
        backoff: scaling.backoffFactor,
        interval: scaling.growthInterval,
      },
      overrides: { CLIPS: maxNorm !== undefined },
      prelude: {},
      grid: 1,
    });
  });
}

/** The tensors of one parameter, all of one size. */
export interface AdamWTensors {
  /** f32: the master weight. */
  weight: Tensor;
  /** f32, of the scaled loss. */
  gradient: Tensor;
  /** f32: running mean of the gradient. Zeros before the first step. */
  mean: Tensor;
  /** f32: running mean of its square. Zeros before the first step. */
  square: Tensor;
  /** f32 or f16: the weight that the model reads, where that is not `weight` itself. */
  stored?: Tensor;
  /** f32: the weight's exponential moving average (diffusers' EMAModel), if one is kept. */
  average?: Tensor;
}

/** Options of `adamW`, named as in torch.optim.AdamW. */
export interface AdamWOptions {
  /** What `startStep` decided. */
  state: Tensor;
  /** f32 [2]: learning rate, and 1 - decay of the averages: a tensor, so that a recorded step can be replayed at others. */
  rates: Tensor;
  /** Those of `startStep`. */
  betas: Betas;
  /** Added to the root of the corrected mean square. */
  eps: number;
  /** Decoupled: each step takes learning rate times this of the weight off it; 0: none. */
  weightDecay: number;
}

/**
 * One step of a parameter (torch.optim.AdamW): writes weight, mean and square in place, and the stored copy. Where the
 * step is skipped they stay; the average follows the weight nonetheless.
 */
export function adamW(tensors: AdamWTensors, options: AdamWOptions): void {
  const { weight, gradient, mean, square, stored, average } = tensors;
  const { state, rates, betas, eps, weightDecay } = options;
  for (const [name, x] of Object.entries(tensors) as [string, Tensor | undefined][]) {
    check(x === undefined || x.size === weight.size, "adamW", `${name} is [${x?.shape}], weight is [${weight.shape}]`, weight);
  }
  checkShape("adamW", "rates", rates, [2]);
  const { vec4, count, grid } = elementPlan(weight);
  weight.gpu.run(vec4 ? adamwVec4 : adamwScalar, {
    bindings: { gradient, rates, state, weight, mean, square, stored, average },
    params: { count, one_minus_beta1: 1 - betas[0], one_minus_beta2: 1 - betas[1], eps, weight_decay: weightDecay },
    overrides: { HAS_STORED: stored !== undefined, HAS_AVERAGE: average !== undefined },
    prelude: { W: stored ? floatOf("adamW", stored) : "f32" },
    grid,
    flops: (average ? 17 : 14) * weight.size,
    bytes: bytesOf(gradient, weight, weight, mean, mean, square, square, stored, average, average),
  });
}

/** Decay of the EMA in the optimiser's step `step`, counted from 1 (diffusers' EMAModel.get_decay): 0 in the first. */
export function emaDecay(step: number, maximum = 0.9999): number {
  const n = step - 1;
  return n <= 0 ? 0 : Math.min(maximum, (1 + n) / (10 + n));
}
