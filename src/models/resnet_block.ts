import type { Tensor } from "../tensor.ts";
import { Conv2d, GroupNorm, Linear, consume } from "./layers.ts";
import type { ParameterScope } from "./parameters.ts";

/** Sizes of a ResnetBlock2D. `timeChannels` absent: no time embedding (VAE). */
export interface ResnetBlockOptions {
  inChannels: number;
  outChannels: number;
  groups: number;
  eps: number;
  timeChannels?: number;
}

/** diffusers' ResnetBlock2D: two normalised convolutions with the time embedding added between them, and a shortcut. */
export class ResnetBlock2D {
  readonly #norm1: GroupNorm;
  readonly #conv1: Conv2d;
  readonly #timeProjection: Linear | undefined;
  readonly #norm2: GroupNorm;
  readonly #conv2: Conv2d;
  readonly #shortcut: Conv2d | undefined;

  constructor(p: ParameterScope, options: ResnetBlockOptions) {
    const { inChannels, outChannels, groups, eps, timeChannels } = options;
    this.#norm1 = new GroupNorm(p.at("norm1"), groups, inChannels, eps);
    this.#conv1 = new Conv2d(p.at("conv1"), inChannels, outChannels, { kernel: 3 });
    this.#timeProjection = timeChannels === undefined ? undefined : new Linear(p.at("time_emb_proj"), timeChannels, outChannels);
    this.#norm2 = new GroupNorm(p.at("norm2"), groups, outChannels, eps);
    this.#conv2 = new Conv2d(p.at("conv2"), outChannels, outChannels, { kernel: 3 });
    this.#shortcut = inChannels === outChannels ? undefined : new Conv2d(p.at("conv_shortcut"), inChannels, outChannels, { kernel: 1 });
  }

  /**
   * x [B, H, W, C1], optionally with the channels of `skip` [B, H, W, C2] behind its own, to [B, H, W, out].
   * `time` is SiLU of the time embedding, [B, timeChannels].
   */
  forward(x: Tensor, options: { time?: Tensor; skip?: Tensor } = {}): Tensor {
    const { time, skip } = options;
    return x.gpu.scope("resnet", () => {
      // 1. First convolution, the time embedding as a shift of every channel
      const shift = time && this.#timeProjection?.forward(time); // [B, out]
      const h1 = consume(this.#norm1.forward(x, { silu: true, skip }), (normed) => this.#conv1.forward(normed, { shift })); // [B, H, W, out]
      // 2. Second convolution onto the shortcut
      const h2 = consume(h1, (h) => this.#norm2.forward(h, { silu: true }));
      const shortcut = this.#shortcut ? this.#shortcut.forward(x, { skip }) : x;
      return this.#conv2.forward(h2, { residual: shortcut });
    });
  }
}
