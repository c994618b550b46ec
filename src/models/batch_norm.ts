import type { Activation } from "../ops/activation.ts";
import { foldBatchNorm, scaleShift } from "../ops/batch_norm.ts";
import { conv2d } from "../ops/conv.ts";
import type { Tensor } from "../tensor.ts";
import type { Parameter, ParameterScope } from "./parameters.ts";

/** Counters that PyTorch keeps beside the statistics of batch norms: no weights. */
export const batchNormCounters = /\bnum_batches_tracked$/;

/** torch.nn.BatchNorm2d at inference on channels-last images: once loaded, a scale and a shift of every channel. */
export class BatchNorm2d {
  readonly #scale: Parameter;
  readonly #shift: Parameter;

  constructor(p: ParameterScope, channels: number, eps: number) {
    const [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map((name) => p.declare(name, [channels], "plain"));
    p.whenLoaded(() => {
      const { scale, shift } = foldBatchNorm({ weight: weight.tensor, bias: bias.tensor, mean: mean.tensor, variance: variance.tensor }, eps);
      replace(weight, scale);
      replace(bias, shift);
    });
    this.#scale = weight;
    this.#shift = bias;
  }

  /** [C] each. */
  get folded(): { scale: Tensor; shift: Tensor } {
    return { scale: this.#scale.tensor, shift: this.#shift.tensor };
  }

  forward(x: Tensor, options: { activation?: Activation } = {}): Tensor {
    return scaleShift(x, { ...this.folded, ...options });
  }
}

/** Sizes of a convolution with batch norm. Sides are one number where they are equal. */
export interface ConvBatchNormOptions {
  kernel: number | readonly [height: number, width: number];
  stride?: 1 | 2;
  /** Rows above and below, columns left and right. Default: what keeps the size of the image at stride 1. */
  padding?: number;
  eps: number;
}

/** A convolution without bias and the batch norm behind it: once loaded, one convolution with bias. */
export class ConvBatchNorm {
  readonly #weight: Parameter;
  readonly #norm: BatchNorm2d;
  readonly #stride: 1 | 2;
  readonly #padding: readonly [number, number, number, number];

  /** `conv` and `norm`: where the two declare their parameters. */
  constructor(conv: ParameterScope, norm: ParameterScope, inChannels: number, outChannels: number, options: ConvBatchNormOptions) {
    const { stride = 1, padding, eps } = options;
    const kernel = typeof options.kernel === "number" ? ([options.kernel, options.kernel] as const) : options.kernel;
    const [rows, columns] = kernel.map((side) => padding ?? (side - 1) / 2);
    this.#weight = conv.declare("weight", [outChannels, inChannels, ...kernel], "conv");
    this.#norm = new BatchNorm2d(norm, outChannels, eps);
    conv.whenLoaded(() => replace(this.#weight, scaleShift(this.#weight.tensor, { scale: this.#norm.folded.scale })));
    this.#stride = stride;
    this.#padding = [rows, columns, rows, columns];
  }

  /** x [B, H, W, in] -> [B, H', W', out]: activation(norm(conv(x))) + residual. */
  forward(x: Tensor, options: { activation?: Activation; residual?: Tensor } = {}): Tensor {
    return conv2d(x, { ...options, weight: this.#weight.tensor, bias: this.#norm.folded.shift, stride: this.#stride, padding: this.#padding });
  }
}

/** Puts what was computed from a weight in its place. */
function replace(parameter: Parameter, tensor: Tensor): void {
  parameter.fill([tensor.gpu.keep(tensor)]);
}
