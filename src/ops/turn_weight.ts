import { gradientWeight } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, floatOf } from "./check.ts";

/** Inputs and outputs that a workgroup of kernels/conv/gradient_weight.wgsl exchanges. */
const tileSide = 32;

/** Which taps of a weight a turned weight holds; by default all, flipped. */
export interface TurnOptions {
  /** First channel of the input, and how many. Default all. */
  channels?: readonly [first: number, count: number];
  /** Taps of the turned weight. Default those of the weight. */
  taps?: readonly [height: number, width: number];
  /** Tap of the weight that comes first. Default the last one. */
  origin?: readonly [row: number, column: number];
  /** Taps of the weight between two of the turned weight. Default 1. */
  stride?: number;
  /** Sides of the blocks of taps that are added up. Default 1. */
  block?: number;
}

/**
 * The weight [kh, kw, Cin, N] with inputs and outputs exchanged and its taps in the opposite order: [mh, mw, N, C], with
 * which a convolution of dy gives the gradient of the input. Tap (my, mx) is the sum of the block of taps from
 * origin - stride * (my, mx) on, zero where the weight has none. Sums are f32, single taps keep the dtype.
 */
export function turnWeight(weight: Tensor, options: TurnOptions = {}): Tensor {
  const [kernelHeight, kernelWidth, c_in, N] = weight.shape;
  const { taps = [kernelHeight, kernelWidth], origin = [kernelHeight - 1, kernelWidth - 1], stride = 1, block = 1 } = options;
  const [first, channels] = options.channels ?? [0, c_in];
  const dtype = floatOf("turnWeight", weight);
  const turned = weight.gpu.empty([...taps, N, channels], block > 1 ? "f32" : dtype);
  const quads = N % 4 === 0 && channels % 4 === 0;
  weight.gpu.run(gradientWeight, {
    bindings: quads ? { weight: undefined, weight4: weight, turned: undefined, turned4: turned } : { weight, weight4: undefined, turned, turned4: undefined },
    overrides: { QUADS: quads },
    params: { kernel: [kernelHeight, kernelWidth], c_in, N, taps, first, channels, origin, stride, block },
    prelude: { T: floatOf("turnWeight", turned), W: dtype },
    grid: taps[0] * taps[1] * Math.ceil(N / tileSide) * Math.ceil(channels / tileSide),
    bytes: bytesOf(turned, turned),
  });
  return turned;
}
