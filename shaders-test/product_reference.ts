import type { Activation } from "../src/ops/activation.ts";
import type { ConvCase } from "./product_cases.ts";
import type { Round } from "./harness.ts";

/** erf in f64: its Taylor series below 3, the continued fraction of erfc from there on. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

/** The activations, rounded once. */
export function activate(x: number, activation: Activation | undefined, round: Round): number {
  if (activation === "gelu") return round(0.5 * x * (1 + erf(x / Math.SQRT2)));
  if (activation === "gelu_tanh") return round(0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))));
  if (activation === "quick_gelu") return round(x / (1 + Math.exp(-1.702 * x)));
  if (activation === "relu") return Math.max(x, 0);
  if (activation === "silu") return round(x / (1 + Math.exp(-x)));
  return x;
}

/** Host values of a product: a [B, M, K]; b [K, N], [N, K] or a batch of them. */
export interface ProductInputs {
  a: ArrayLike<number>;
  b: ArrayLike<number>;
  sizes: readonly [batches: number, M: number, K: number, N: number];
  batchedB?: boolean;
  transposeB?: boolean;
  scale?: number;
}

/** scale * a b, sums in the order of k. */
export function productReference({ a, b, sizes, batchedB, transposeB, scale = 1 }: ProductInputs, round: Round): Float64Array {
  const [batches, M, K, N] = sizes;
  const c = new Float64Array(batches * M * N);
  for (let row = 0; row < batches * M; row++) {
    const start = batchedB ? Math.floor(row / M) * K * N : 0;
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum = round(sum + round(a[row * K + k] * b[start + (transposeB ? n * K + k : k * N + n)]));
      c[row * N + n] = round(scale * sum);
    }
  }
  return c;
}

/** Host values of a convolution, channels last. */
export interface ConvInputs {
  x: ArrayLike<number>;
  skip: ArrayLike<number>;
  weight: ArrayLike<number>;
}

/** Output sides of a convolution. */
export function convSides({ height, width, kernel, stride, padding, upsample }: ConvCase): [number, number] {
  const factor = upsample ? 2 : 1;
  const side = (size: number, taps: number, before: number, after: number) => Math.floor((factor * size + before + after - taps) / stride) + 1;
  return [side(height, kernel[0], padding[0], padding[2]), side(width, kernel[1], padding[1], padding[3])];
}

/** torch.nn.functional.conv2d of the padded, upsampled, concatenated input; sums in the order of ky, kx, c. */
export function convReference({ x, skip, weight }: ConvInputs, shape: ConvCase, round: Round): Float64Array {
  const { batches, height, width, c1, c2, cOut, kernel, stride, padding, upsample } = shape;
  const factor = upsample ? 2 : 1;
  const [outHeight, outWidth] = convSides(shape);
  const channel = (pixel: number, c: number) => (c < c1 ? x[pixel * c1 + c] : skip[pixel * c2 + c - c1]);
  const y = new Float64Array(batches * outHeight * outWidth * cOut);
  for (let i = 0; i < y.length; i++) {
    const [n, ox] = [i % cOut, Math.floor(i / cOut) % outWidth];
    const oy = Math.floor(i / cOut / outWidth) % outHeight;
    const sample = Math.floor(i / cOut / outWidth / outHeight);
    let sum = 0;
    for (let ky = 0; ky < kernel[0]; ky++) {
      for (let kx = 0; kx < kernel[1]; kx++) {
        const row = oy * stride + ky - padding[0];
        const column = ox * stride + kx - padding[1];
        if (row < 0 || column < 0 || row >= factor * height || column >= factor * width) continue;
        const pixel = (sample * height + Math.floor(row / factor)) * width + Math.floor(column / factor);
        for (let c = 0; c < c1 + c2; c++) {
          sum = round(sum + round(channel(pixel, c) * weight[((ky * kernel[1] + kx) * (c1 + c2) + c) * cOut + n]));
        }
      }
    }
    y[i] = sum;
  }
  return y;
}
