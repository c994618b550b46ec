/** Sizes of products: batch, rows, inner length, columns. Size 1, primes, tails of every tile, no multiple of 4. */
export const matmulCases: readonly (readonly [batches: number, M: number, K: number, N: number])[] = [
  [1, 1, 1, 1],
  [3, 5, 7, 3],
  [2, 17, 13, 36],
  [1, 4, 9, 40],
  [1, 9, 33, 130],
  [2, 67, 19, 12],
  [1, 129, 77, 64],
];

/** A convolution's sizes. `padding` is top, left, bottom, right. */
export interface ConvCase {
  batches: number;
  height: number;
  width: number;
  c1: number;
  c2: number;
  cOut: number;
  kernel: readonly [number, number];
  stride: 1 | 2;
  padding: readonly [number, number, number, number];
  upsample: boolean;
}

const convCase = (sizes: Partial<ConvCase>): ConvCase => ({
  batches: 1,
  height: 5,
  width: 7,
  c1: 8,
  c2: 0,
  cOut: 8,
  kernel: [3, 3],
  stride: 1,
  padding: [1, 1, 1, 1],
  upsample: false,
  ...sizes,
});

/** Kernel sizes, strides, paddings, channel counts that fit no tile, two inputs, upsampling; batches of one and more. */
export const convCases: readonly ConvCase[] = [
  convCase({ height: 1, width: 1, c1: 1, cOut: 1 }),
  convCase({ batches: 3, c1: 4, cOut: 36 }),
  convCase({ batches: 2, c1: 3, cOut: 3 }),
  convCase({ height: 9, width: 11, c1: 17, cOut: 5 }),
  convCase({ height: 8, width: 6, stride: 2, padding: [0, 0, 1, 1] }),
  convCase({ batches: 2, height: 7, stride: 2 }),
  convCase({ c1: 5, c2: 6, cOut: 12 }),
  convCase({ batches: 2, c1: 16, c2: 8, cOut: 64 }),
  convCase({ height: 4, width: 3, cOut: 12, upsample: true }),
  convCase({ height: 3, width: 4, c1: 3, c2: 2, upsample: true, stride: 2 }),
  convCase({ height: 9, width: 8, c1: 3, kernel: [7, 7], padding: [3, 3, 3, 3] }),
  convCase({ kernel: [1, 1], padding: [0, 0, 0, 0], cOut: 20 }),
  convCase({ kernel: [1, 1], padding: [0, 0, 0, 0], c1: 12, c2: 7 }),
  convCase({ kernel: [2, 3], padding: [0, 2, 1, 0], c1: 9 }),
  convCase({ height: 11, width: 9, c1: 1, cOut: 16, kernel: [7, 7], stride: 2, padding: [3, 3, 3, 3] }),
  convCase({ kernel: [1, 7], padding: [0, 3, 0, 3], cOut: 20 }),
];

/** Products that are timed: name, sizes, dtype of the weights. */
export const productBench: readonly (readonly [name: string, sizes: (typeof matmulCases)[number], dtypeB: "f32" | "f16"])[] = [
  ["matmul 1024x1024x1024", [1, 1024, 1024, 1024], "f32"],
  ["matmul 1024x1024x1024, f16 weights", [1, 1024, 1024, 1024], "f16"],
  ["linear 4096x320 to 1280", [1, 4096, 320, 1280], "f32"],
  ["linear 10x256x32 to 32", [10, 256, 32, 32], "f32"],
  ["linear 10x64x64 to 64", [10, 64, 64, 64], "f32"],
];

/** Convolutions that are timed: SD 1.5's U-Net and VAE, and the small model at a batch of 10. */
export const convBench: readonly ConvCase[] = [
  convCase({ height: 32, width: 32, c1: 320, cOut: 320 }),
  convCase({ height: 16, width: 16, c1: 640, cOut: 640 }),
  convCase({ batches: 10, height: 16, width: 16, c1: 32, cOut: 32 }),
  convCase({ batches: 10, height: 8, width: 8, c1: 64, cOut: 64 }),
  convCase({ height: 64, width: 64, c1: 4, cOut: 320 }),
  convCase({ height: 64, width: 64, c1: 128, cOut: 128 }),
  convCase({ batches: 10, height: 16, width: 16, c1: 32, cOut: 4 }),
];
