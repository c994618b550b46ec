import { averagePool, maxPool, pixelMean } from "../ops/pool.ts";
import { concatLast } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { BatchNorm2d, ConvBatchNorm, batchNormCounters } from "./batch_norm.ts";
import { Conv2d } from "./layers.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";

/** Sizes of a DenseNet. */
export interface DenseNetConfig {
  /** Channels of its images: 1, grey, in torchxrayvision's. */
  inChannels: number;
  /** Channels of the first convolution. */
  width: number;
  /** Channels that every layer adds. */
  growth: number;
  /** Layers of each dense block. */
  blocks: readonly number[];
}

/** Side of the films that torchxrayvision's was trained on. */
export const XRV_SIDE = 224;

/** torchxrayvision's DenseNet-121 for grey films. */
export const denseNet121: DenseNetConfig = { inChannels: 1, width: 64, growth: 32, blocks: [6, 12, 24, 16] };

const eps = 1e-5;
/** Channels between the two convolutions of a layer, in units of its growth. */
const BOTTLENECK = 4;

/** Norm, 1x1 convolution, norm, 3x3 convolution; its output is put behind its input. */
class DenseLayer {
  readonly #norm1: BatchNorm2d;
  readonly #conv1: ConvBatchNorm;
  readonly #conv2: Conv2d;

  constructor(p: ParameterScope, inChannels: number, growth: number) {
    this.#norm1 = new BatchNorm2d(p.at("norm1"), inChannels, eps);
    this.#conv1 = new ConvBatchNorm(p.at("conv1"), p.at("norm2"), inChannels, BOTTLENECK * growth, { kernel: 1, eps });
    this.#conv2 = new Conv2d(p.at("conv2"), BOTTLENECK * growth, growth, { kernel: 3, bias: false });
  }

  forward(x: Tensor): Tensor {
    return x.gpu.scope("layer", () => {
      const h = this.#conv1.forward(this.#norm1.forward(x, { activation: "relu" }), { activation: "relu" });
      return concatLast(x, this.#conv2.forward(h));
    });
  }
}

/** Halves channels and sides between two blocks. */
class Transition {
  readonly #norm: BatchNorm2d;
  readonly #conv: Conv2d;

  constructor(p: ParameterScope, inChannels: number) {
    this.#norm = new BatchNorm2d(p.at("norm"), inChannels, eps);
    this.#conv = new Conv2d(p.at("conv"), inChannels, inChannels / 2, { kernel: 1, bias: false });
  }

  forward(x: Tensor): Tensor {
    return averagePool(this.#conv.forward(this.#norm.forward(x, { activation: "relu" })), { kernel: [2, 2], stride: 2 });
  }
}

/** torchvision's DenseNet (densenet.py) with torchxrayvision's input and features, on channels-last images. */
export class DenseNet implements Model {
  /** By torchvision's keys, `features.conv0.weight` and so on. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** The classifier, torchxrayvision's operating points, and counters. */
  readonly ignoredKeys = new RegExp(`^classifier\\.|^op_threshs$|${batchNormCounters.source}`);
  /** Folds batch norms into their convolutions, or into a scale and a shift where they stand first. */
  readonly prepare: () => void;
  /** Length of a feature vector. */
  readonly features: number;
  readonly #stem: ConvBatchNorm;
  readonly #blocks: { layers: DenseLayer[]; transition: Transition | undefined }[];
  readonly #norm: BatchNorm2d;

  constructor({ inChannels, width, growth, blocks }: DenseNetConfig = denseNet121) {
    const root = new ParameterScope();
    this.parameters = root.all;
    this.prepare = root.prepare;
    const p = root.at("features");
    this.#stem = new ConvBatchNorm(p.at("conv0"), p.at("norm0"), inChannels, width, { kernel: 7, stride: 2, eps });
    let channels = width;
    this.#blocks = blocks.map((count, i) => {
      const layers = Array.from({ length: count }, (_, j) => {
        channels += growth;
        return new DenseLayer(p.at(`denseblock${i + 1}.denselayer${j + 1}`), channels - growth, growth);
      });
      if (i === blocks.length - 1) return { layers, transition: undefined };
      const transition = new Transition(p.at(`transition${i + 1}`), channels);
      channels /= 2;
      return { layers, transition };
    });
    this.#norm = new BatchNorm2d(p.at("norm5"), channels, eps);
    this.features = channels;
  }

  /** films [B, H, W, inChannels] in [-1024, 1024] to torchxrayvision's `features2`: [B, features] */
  forward(films: Tensor): Tensor {
    const { gpu } = films;
    return gpu.scope("densenet", () => {
      const stem = maxPool(this.#stem.forward(films, { activation: "relu" }), { kernel: [3, 3], stride: 2, padding: [1, 1] });
      const maps = this.#blocks.reduce((x, { layers, transition }, i) => {
        return gpu.scope(`denseblock${i + 1}`, () => {
          const h = layers.reduce((y, layer) => layer.forward(y), x);
          return transition?.forward(h) ?? h;
        });
      }, stem);
      return pixelMean(this.#norm.forward(maps, { activation: "relu" }));
    });
  }
}
