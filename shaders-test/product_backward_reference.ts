import type { Activation } from "../src/ops/activation.ts";
import type { Round } from "./harness.ts";
import type { ConvCase } from "./product_cases.ts";
import { type ConvInputs, type ProductInputs, convSides, erf } from "./product_reference.ts";

/** Derivatives of the activations, rounded once. */
export function activationSlope(x: number, activation: Activation | undefined, round: Round): number {
  if (activation === "gelu") return round(0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI));
  if (activation === "gelu_tanh") {
    const factor = Math.sqrt(2 / Math.PI);
    const t = Math.tanh(factor * (x + 0.044715 * x ** 3));
    return round(0.5 * (1 + t) + 0.5 * x * (1 - t * t) * factor * (1 + 3 * 0.044715 * x * x));
  }
  if (activation === "relu") return Number(x > 0);
  const steepness = activation === "quick_gelu" ? 1.702 : 1;
  const s = 1 / (1 + Math.exp(-steepness * x));
  return activation ? round(s * (1 + steepness * x * (1 - s))) : 1;
}

/** Gradients of scale * a b, sums in the order of the rows of c. */
export function productBackwardReference({ a, b, sizes, batchedB, transposeB, scale = 1 }: ProductInputs, dc: ArrayLike<number>, round: Round) {
  const [batches, M, K, N] = sizes;
  const da = new Float64Array(a.length);
  const db = new Float64Array(b.length);
  for (let row = 0; row < batches * M; row++) {
    const start = batchedB ? Math.floor(row / M) * K * N : 0;
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        const at = start + (transposeB ? n * K + k : k * N + n);
        da[row * K + k] = round(da[row * K + k] + round(dc[row * N + n] * b[at]));
        db[at] = round(db[at] + round(dc[row * N + n] * a[row * K + k]));
      }
    }
  }
  return { da: da.map((value) => round(scale * value)), db: db.map((value) => round(scale * value)) };
}

/** Sums of the rows [columns] of x. */
export function columnSums(x: ArrayLike<number>, columns: number, round: Round): Float64Array {
  const sums = new Float64Array(columns);
  for (let i = 0; i < x.length; i++) sums[i % columns] = round(sums[i % columns] + x[i]);
  return sums;
}

/** Gradients of the padded, upsampled, concatenated input and of the weight of a convolution; sums in the order of dy. */
export function convBackwardReference({ x, skip, weight }: ConvInputs, shape: ConvCase, dy: ArrayLike<number>, round: Round) {
  const { height, width, c1, c2, cOut, kernel, stride, padding, upsample } = shape;
  const factor = upsample ? 2 : 1;
  const [outHeight, outWidth] = convSides(shape);
  const dx = new Float64Array(x.length);
  const dskip = new Float64Array(skip.length);
  const dweight = new Float64Array(weight.length);
  for (let i = 0; i < dy.length; i++) {
    const [n, ox] = [i % cOut, Math.floor(i / cOut) % outWidth];
    const oy = Math.floor(i / cOut / outWidth) % outHeight;
    const sample = Math.floor(i / cOut / outWidth / outHeight);
    for (let tap = 0; tap < kernel[0] * kernel[1]; tap++) {
      const row = oy * stride + Math.floor(tap / kernel[1]) - padding[0];
      const column = ox * stride + (tap % kernel[1]) - padding[1];
      if (row < 0 || column < 0 || row >= factor * height || column >= factor * width) continue;
      const pixel = (sample * height + Math.floor(row / factor)) * width + Math.floor(column / factor);
      for (let c = 0; c < c1 + c2; c++) {
        const [input, gradient, at] = c < c1 ? [x, dx, pixel * c1 + c] : [skip, dskip, pixel * c2 + c - c1];
        const to = (tap * (c1 + c2) + c) * cOut + n;
        gradient[at] = round(gradient[at] + round(dy[i] * weight[to]));
        dweight[to] = round(dweight[to] + round(dy[i] * input[at]));
      }
    }
  }
  return { dx, dskip, dweight };
}
