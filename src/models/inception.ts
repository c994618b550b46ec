import { averagePool, maxPool, pixelMean } from "../ops/pool.ts";
import { concatLast } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { ConvBatchNorm, type ConvBatchNormOptions, batchNormCounters } from "./batch_norm.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";

/** A part of a block: images to images. */
type Branch = (x: Tensor) => Tensor;
type Geometry = Omit<ConvBatchNormOptions, "eps">;

/** Side of the images that it was trained on. */
export const INCEPTION_SIDE = 299;

/** torchvision's BasicConv2d: convolution, batch norm, ReLU. */
function basicConv(p: ParameterScope, inChannels: number, outChannels: number, geometry: Geometry): Branch {
  const conv = new ConvBatchNorm(p.at("conv"), p.at("bn"), inChannels, outChannels, { ...geometry, eps: 1e-3 });
  return (x) => conv.forward(x, { activation: "relu" });
}

const chain = (...branches: Branch[]): Branch => (x) => branches.reduce((h, branch) => branch(h), x);
/** The outputs of several branches, channel behind channel. */
const fork = (...branches: Branch[]): Branch => (x) => branches.map((branch) => branch(x)).reduce(concatLast);

const maxPoolHalf: Branch = (x) => maxPool(x, { kernel: [3, 3], stride: 2 });
/** The pools beside the convolutions of a block: the mean leaves the padding out, where torchvision's counts it. */
const pools = {
  mean: (x: Tensor) => averagePool(x, { kernel: [3, 3], stride: 1, padding: [1, 1] }),
  max: (x: Tensor) => maxPool(x, { kernel: [3, 3], stride: 1, padding: [1, 1] }),
};

const one: Geometry = { kernel: 1 };
const three: Geometry = { kernel: 3 };
const threeHalving: Geometry = { kernel: 3, stride: 2, padding: 0 };
const [row3, column3]: Geometry[] = [{ kernel: [1, 3] }, { kernel: [3, 1] }];
const [row7, column7]: Geometry[] = [{ kernel: [1, 7] }, { kernel: [7, 1] }];

/** InceptionA: 1x1, 5x5, two 3x3, and a pool, at 35x35. */
function blockA(p: ParameterScope, inChannels: number, poolChannels: number): Branch {
  return fork(
    basicConv(p.at("branch1x1"), inChannels, 64, one),
    chain(basicConv(p.at("branch5x5_1"), inChannels, 48, one), basicConv(p.at("branch5x5_2"), 48, 64, { kernel: 5 })),
    chain(basicConv(p.at("branch3x3dbl_1"), inChannels, 64, one), basicConv(p.at("branch3x3dbl_2"), 64, 96, three), basicConv(p.at("branch3x3dbl_3"), 96, 96, three)),
    chain(pools.mean, basicConv(p.at("branch_pool"), inChannels, poolChannels, one)),
  );
}

/** InceptionB: from 35x35 to 17x17. */
function blockB(p: ParameterScope, inChannels: number): Branch {
  return fork(
    basicConv(p.at("branch3x3"), inChannels, 384, threeHalving),
    chain(basicConv(p.at("branch3x3dbl_1"), inChannels, 64, one), basicConv(p.at("branch3x3dbl_2"), 64, 96, three), basicConv(p.at("branch3x3dbl_3"), 96, 96, threeHalving)),
    maxPoolHalf,
  );
}

/** InceptionC: 7x7 as rows and columns, at 17x17. `width` is that of the convolutions between. */
function blockC(p: ParameterScope, inChannels: number, width: number): Branch {
  return fork(
    basicConv(p.at("branch1x1"), inChannels, 192, one),
    chain(basicConv(p.at("branch7x7_1"), inChannels, width, one), basicConv(p.at("branch7x7_2"), width, width, row7), basicConv(p.at("branch7x7_3"), width, 192, column7)),
    chain(
      basicConv(p.at("branch7x7dbl_1"), inChannels, width, one),
      basicConv(p.at("branch7x7dbl_2"), width, width, column7),
      basicConv(p.at("branch7x7dbl_3"), width, width, row7),
      basicConv(p.at("branch7x7dbl_4"), width, width, column7),
      basicConv(p.at("branch7x7dbl_5"), width, 192, row7),
    ),
    chain(pools.mean, basicConv(p.at("branch_pool"), inChannels, 192, one)),
  );
}

/** InceptionD: from 17x17 to 8x8. */
function blockD(p: ParameterScope, inChannels: number): Branch {
  return fork(
    chain(basicConv(p.at("branch3x3_1"), inChannels, 192, one), basicConv(p.at("branch3x3_2"), 192, 320, threeHalving)),
    chain(
      basicConv(p.at("branch7x7x3_1"), inChannels, 192, one),
      basicConv(p.at("branch7x7x3_2"), 192, 192, row7),
      basicConv(p.at("branch7x7x3_3"), 192, 192, column7),
      basicConv(p.at("branch7x7x3_4"), 192, 192, threeHalving),
    ),
    maxPoolHalf,
  );
}

/** InceptionE: 3x3 split into rows and columns side by side, at 8x8. */
function blockE(p: ParameterScope, inChannels: number, pool: Branch): Branch {
  return fork(
    basicConv(p.at("branch1x1"), inChannels, 320, one),
    chain(basicConv(p.at("branch3x3_1"), inChannels, 384, one), fork(basicConv(p.at("branch3x3_2a"), 384, 384, row3), basicConv(p.at("branch3x3_2b"), 384, 384, column3))),
    chain(
      basicConv(p.at("branch3x3dbl_1"), inChannels, 448, one),
      basicConv(p.at("branch3x3dbl_2"), 448, 384, three),
      fork(basicConv(p.at("branch3x3dbl_3a"), 384, 384, row3), basicConv(p.at("branch3x3dbl_3b"), 384, 384, column3)),
    ),
    chain(pool, basicConv(p.at("branch_pool"), inChannels, 192, one)),
  );
}

/**
 * InceptionV3 as FID is defined with it: pytorch-fid's variant (inception.py) with the weights that were converted from
 * TensorFlow's. It differs from torchvision's in the pools of its blocks.
 */
export class InceptionV3 implements Model {
  /** By pytorch-fid's keys, `Conv2d_1a_3x3.conv.weight` and so on. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** The classifier and counters. */
  readonly ignoredKeys = new RegExp(`^fc\\.|${batchNormCounters.source}`);
  /** Folds each batch norm into its convolution. */
  readonly prepare: () => void;
  /** Length of a feature vector. */
  readonly features = 2048;
  readonly #stages: readonly (readonly [name: string, stage: Branch])[];

  constructor() {
    const p = new ParameterScope();
    this.parameters = p.all;
    this.prepare = p.prepare;
    this.#stages = [
      ["Conv2d_1a_3x3", basicConv(p.at("Conv2d_1a_3x3"), 3, 32, threeHalving)], // 149x149
      ["Conv2d_2a_3x3", basicConv(p.at("Conv2d_2a_3x3"), 32, 32, { kernel: 3, padding: 0 })], // 147x147
      ["Conv2d_2b_3x3", chain(basicConv(p.at("Conv2d_2b_3x3"), 32, 64, three), maxPoolHalf)], // 73x73
      ["Conv2d_3b_1x1", basicConv(p.at("Conv2d_3b_1x1"), 64, 80, one)],
      ["Conv2d_4a_3x3", chain(basicConv(p.at("Conv2d_4a_3x3"), 80, 192, { kernel: 3, padding: 0 }), maxPoolHalf)], // 35x35
      ["Mixed_5b", blockA(p.at("Mixed_5b"), 192, 32)],
      ["Mixed_5c", blockA(p.at("Mixed_5c"), 256, 64)],
      ["Mixed_5d", blockA(p.at("Mixed_5d"), 288, 64)],
      ["Mixed_6a", blockB(p.at("Mixed_6a"), 288)], // 17x17
      ["Mixed_6b", blockC(p.at("Mixed_6b"), 768, 128)],
      ["Mixed_6c", blockC(p.at("Mixed_6c"), 768, 160)],
      ["Mixed_6d", blockC(p.at("Mixed_6d"), 768, 160)],
      ["Mixed_6e", blockC(p.at("Mixed_6e"), 768, 192)],
      ["Mixed_7a", blockD(p.at("Mixed_7a"), 768)], // 8x8
      ["Mixed_7b", blockE(p.at("Mixed_7b"), 1280, pools.mean)],
      ["Mixed_7c", blockE(p.at("Mixed_7c"), 2048, pools.max)],
    ];
  }

  /** images [B, 299, 299, 3] in [-1, 1] to pool3, the mean of the last feature maps: [B, 2048] */
  forward(images: Tensor): Tensor {
    const { gpu } = images;
    return gpu.scope("inception", () => pixelMean(this.#stages.reduce((x, [name, stage]) => gpu.scope(name, () => stage(x)), images)));
  }
}
