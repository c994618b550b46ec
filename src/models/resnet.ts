import { activate } from "../ops/activation.ts";
import { maxPool } from "../ops/pool.ts";
import type { Tensor } from "../tensor.ts";
import { ConvBatchNorm } from "./batch_norm.ts";
import type { ParameterScope } from "./parameters.ts";

/** Sizes of a ResNet of bottlenecks. */
export interface ResNetConfig {
  /** Bottlenecks of each of the four resolutions. */
  layers: readonly number[];
  /** Channels of the first convolution. */
  width: number;
}

export const resNet50: ResNetConfig = { layers: [3, 4, 6, 3], width: 64 };

const eps = 1e-5;
/** Channels that leave a bottleneck, relative to those in its middle. */
const EXPANSION = 4;

/** 1x1, 3x3 and 1x1 convolutions beside a shortcut; the stride is that of the 3x3 one (torchvision's v1.5). */
class Bottleneck {
  readonly #conv1: ConvBatchNorm;
  readonly #conv2: ConvBatchNorm;
  readonly #conv3: ConvBatchNorm;
  readonly #downsample: ConvBatchNorm | undefined;

  constructor(p: ParameterScope, inChannels: number, width: number, stride: 1 | 2) {
    const outChannels = EXPANSION * width;
    this.#conv1 = new ConvBatchNorm(p.at("conv1"), p.at("bn1"), inChannels, width, { kernel: 1, eps });
    this.#conv2 = new ConvBatchNorm(p.at("conv2"), p.at("bn2"), width, width, { kernel: 3, stride, eps });
    this.#conv3 = new ConvBatchNorm(p.at("conv3"), p.at("bn3"), width, outChannels, { kernel: 1, eps });
    const changes = stride !== 1 || inChannels !== outChannels;
    this.#downsample = changes ? new ConvBatchNorm(p.at("downsample.0"), p.at("downsample.1"), inChannels, outChannels, { kernel: 1, stride, eps }) : undefined;
  }

  forward(x: Tensor): Tensor {
    const h = this.#conv2.forward(this.#conv1.forward(x, { activation: "relu" }), { activation: "relu" });
    const shortcut = this.#downsample?.forward(x) ?? x;
    return activate(this.#conv3.forward(h, { residual: shortcut }), "relu");
  }
}

/** torchvision's ResNet (resnet.py) of bottlenecks up to its last feature maps, on channels-last images. */
export class ResNet {
  /** Channels of the feature maps. */
  readonly outChannels: number;
  readonly #conv1: ConvBatchNorm;
  readonly #layers: Bottleneck[][];

  constructor(p: ParameterScope, { layers, width }: ResNetConfig) {
    this.#conv1 = new ConvBatchNorm(p.at("conv1"), p.at("bn1"), 3, width, { kernel: 7, stride: 2, eps });
    let channels = width;
    this.#layers = layers.map((count, level) =>
      Array.from({ length: count }, (_, i) => {
        const block = new Bottleneck(p.at(`layer${level + 1}`).at(i), channels, width * 2 ** level, level > 0 && i === 0 ? 2 : 1);
        channels = EXPANSION * width * 2 ** level;
        return block;
      }),
    );
    this.outChannels = channels;
  }

  /** x [B, H, W, 3] -> [B, H / 32, W / 32, outChannels] */
  forward(x: Tensor): Tensor {
    const { gpu } = x;
    const stem = gpu.scope("conv1", () => maxPool(this.#conv1.forward(x, { activation: "relu" }), { kernel: [3, 3], stride: 2, padding: [1, 1] }));
    return this.#layers.reduce((h, blocks, level) => gpu.scope(`layer${level + 1}`, () => blocks.reduce((y, block) => block.forward(y), h)), stem);
  }
}
