import {
  crossEntropyBackward,
  crossEntropyMean,
  crossEntropyNaive,
  crossEntropySubgroup,
  differenceLoss as differenceLossKernel,
  differenceLossBackward,
  klLoss as klLossKernel,
  klLossBackward,
} from "../generated/kernels.ts";
import { differentiable } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { sum } from "./accumulate.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";
import { elementGrid, reductionBlocks, strideGrid } from "./grid.ts";

// Losses are f32 [1] on the device; the gradient that reaches them is the factor of all gradients (a loss scale).

// --- differences ---------------------------------------------------------------------------------------------------

/** Options of `mseLoss` and `l1Loss`. */
export interface DifferenceLossOptions {
  /** f32 [B]: factors of the samples' losses (Min-SNR). Default 1. */
  weights?: Tensor;
}

/**
 * Mean squared error: mean over the batch of weights[b] times the mean over the sample of (prediction - target)^2.
 * prediction, target [B, ...] -> f32 [1]. No gradient flows to target and weights.
 */
export function mseLoss(prediction: Tensor, target: Tensor, options: DifferenceLossOptions = {}): Tensor {
  return differenceLoss("mseLoss", prediction, target, false, options);
}

/** Mean absolute error, |prediction - target| in place of the square; its gradient is 0 where they are equal. */
export function l1Loss(prediction: Tensor, target: Tensor, options: DifferenceLossOptions = {}): Tensor {
  return differenceLoss("l1Loss", prediction, target, true, options);
}

function differenceLoss(op: string, prediction: Tensor, target: Tensor, absolute: boolean, { weights }: DifferenceLossOptions): Tensor {
  const { gpu } = prediction;
  checkShape(op, "target", target, prediction.shape);
  if (weights) checkShape(op, "weights", weights, [prediction.shape[0]]);
  const items = weights ? prediction.shape[0] : 1;
  const itemSize = prediction.size / items;
  const overrides = { ABSOLUTE: absolute, HAS_WEIGHTS: weights !== undefined };
  const prelude = { T: floatOf(op, prediction), W: floatOf(op, target) };
  const factor = 1 / prediction.size;
  const loss = gpu.scope(op, () => {
    const blocks = reductionBlocks(itemSize, gpu.adapter.software);
    const parts = gpu.empty([items, blocks]);
    gpu.run(differenceLossKernel, {
      bindings: { prediction, targets: target, weights, parts },
      params: { count: parts.size, item_size: itemSize, blocks },
      overrides,
      prelude,
      grid: parts.size,
      flops: 3 * prediction.size,
      bytes: bytesOf(prediction, target),
    });
    return sum(parts, factor);
  });
  return differentiable(loss, {
    inputs: { prediction },
    saved: { prediction, target, weights },
    backward: (dloss, saved) => {
      const dprediction = gpu.empty(prediction.shape, prediction.dtype);
      gpu.run(differenceLossBackward, {
        bindings: { prediction: saved.prediction, targets: saved.target, weights: saved.weights, dloss, dprediction },
        params: { count: dprediction.size, item_size: itemSize, factor },
        overrides,
        prelude,
        grid: elementGrid(gpu, dprediction.size),
        flops: 3 * dprediction.size,
        bytes: bytesOf(prediction, target, dprediction),
      });
      return { prediction: dprediction };
    },
  });
}

// --- KL divergence -------------------------------------------------------------------------------------------------

/** Bounds of a posterior's log-variance: diffusers' DiagonalGaussianDistribution clamps it to them, as the kernels do. */
export const logvarRange = {
  /** A variance of 9e-14. */
  least: -30,
  /** A variance of 5e8. */
  most: 20,
} as const;

/**
 * KL divergence of diagonal Gaussians from the standard normal distribution, as AutoencoderKL's posterior computes it:
 * mean over the batch of 0.5 * sum(mean^2 + var - 1 - logvar). mean, logvar [B, ...] -> f32 [1]; logvar is clamped to
 * `logvarRange`.
 */
export function klLoss(mean: Tensor, logvar: Tensor): Tensor {
  const { gpu } = mean;
  checkShape("klLoss", "logvar", logvar, mean.shape);
  const count = mean.size;
  const factor = 0.5 / mean.shape[0];
  const prelude = { T: floatOf("klLoss", mean) };
  const loss = gpu.scope("klLoss", () => {
    const blocks = reductionBlocks(count, gpu.adapter.software);
    const parts = gpu.empty([blocks]);
    gpu.run(klLossKernel, {
      bindings: { mean, logvar, parts },
      params: { count, blocks },
      prelude,
      grid: blocks,
      flops: 6 * count,
      bytes: bytesOf(mean, logvar),
    });
    return sum(parts, factor);
  });
  return differentiable(loss, {
    inputs: { mean, logvar },
    saved: { mean, logvar },
    backward: (dloss, saved) => {
      const dmean = gpu.empty(mean.shape, mean.dtype);
      const dlogvar = gpu.empty(mean.shape, mean.dtype);
      gpu.run(klLossBackward, {
        bindings: { ...saved, dloss, dmean, dlogvar },
        params: { count, factor },
        prelude,
        grid: elementGrid(gpu, count),
        flops: 6 * count,
        bytes: bytesOf(mean, logvar, dmean, dlogvar),
      });
      return { mean: dmean, logvar: dlogvar };
    },
  });
}

// --- cross entropy -------------------------------------------------------------------------------------------------

/** Who computes a row: a subgroup or one invocation. */
export type CrossEntropyVariant = "subgroup" | "naive";

/** Options of `crossEntropyLoss`. */
export interface CrossEntropyOptions {
  /** Target of the rows that are left out. Default the bits of -100, PyTorch's. */
  ignoreIndex?: number;
  /** Default: "subgroup" where the device has subgroups. */
  variant?: CrossEntropyVariant;
}

/**
 * Cross entropy (torch.nn.CrossEntropyLoss): mean of -log softmax(logits)[target] over the rows whose target is not
 * ignored; 0 without such rows. logits [..., V], targets u32 [...] -> f32 [1]. A target that is no column gives NaN.
 */
export function crossEntropyLoss(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { gpu } = logits;
  const { ignoreIndex: ignored = 2 ** 32 - 100, variant = gpu.has("subgroups") ? "subgroup" : "naive" } = options;
  check(targets.dtype === "u32", "crossEntropyLoss", `takes u32 targets, got ${targets.dtype}`, targets);
  checkShape("crossEntropyLoss", "targets", targets, logits.shape.slice(0, -1));
  const columns = logits.shape[logits.shape.length - 1];
  const rows = targets.size;
  const prelude = { T: floatOf("crossEntropyLoss", logits) };
  const [loss, share, lse] = gpu.scope("crossEntropyLoss", () => {
    const [losses, lse, loss, share] = [gpu.empty([rows]), gpu.empty([rows]), gpu.empty([1]), gpu.empty([1])];
    gpu.run(variant === "subgroup" ? crossEntropySubgroup : crossEntropyNaive, {
      bindings: { logits, targets, losses, lse },
      params: { rows, columns, ignored, missing: NaN },
      prelude,
      grid: variant === "subgroup" ? strideGrid(rows, 2, gpu.adapter.software) : Math.ceil(rows / 64),
      flops: 4 * logits.size,
      bytes: bytesOf(logits, targets, losses, lse),
    });
    gpu.run(crossEntropyMean, { bindings: { losses, targets, loss, share }, params: { rows, ignored }, prelude: {}, grid: 1, bytes: bytesOf(losses, targets) });
    return [loss, share, lse];
  });
  return differentiable(loss, {
    inputs: { logits },
    saved: { logits, targets, lse, share },
    backward: (dloss, saved) => {
      const dlogits = gpu.empty(logits.shape, logits.dtype);
      gpu.run(crossEntropyBackward, {
        bindings: { ...saved, dloss, dlogits },
        params: { rows, columns, ignored },
        prelude,
        grid: strideGrid(rows, 1, gpu.adapter.software),
        flops: 4 * dlogits.size,
        bytes: bytesOf(logits, dlogits),
      });
      return { logits: dlogits };
    },
  });
}
