import { sizeOf } from "../../src/tensor.ts";
import type { Engine, Input, Layer, Ops, Outputs, Padding, Weight, Work } from "./engine.ts";
import { inputValues, transposed, weightValues } from "./numbers.ts";

/** Row-major numbers. */
interface Numbers {
  shape: readonly number[];
  data: Float64Array<ArrayBufferLike>;
}

const numbers = (shape: readonly number[], data: Float64Array = new Float64Array(sizeOf(shape))): Numbers => ({ shape, data });
const ofWeight = (weight: Weight): Numbers => numbers(weight.shape, Float64Array.from(weightValues(weight)));
const lastOf = (shape: readonly number[]) => shape[shape.length - 1];
const mapped = (x: Numbers, f: (value: number, i: number) => number) => numbers(x.shape, x.data.map(f));

/** Rows that are multiplied while a row of the right matrix is in the cache. */
const block = 16;

/** Rows of the left matrix, gathered a block at a time, by [K, N], onto what is in `out`. */
function multiply(out: Float64Array, rows: number, gather: (row: number, into: Float64Array) => void, right: Float64Array, N: number): void {
  const K = right.length / N;
  const left = Array.from({ length: block }, () => new Float64Array(K));
  for (let first = 0; first < rows; first += block) {
    const count = Math.min(block, rows - first);
    for (let r = 0; r < count; r++) gather(first + r, left[r]);
    for (let k = 0; k < K; k++) {
      for (let r = 0; r < count; r++) {
        const factor = left[r][k];
        const at = (first + r) * N;
        for (let j = 0, w = k * N; j < N; j++, w++) out[at + j] += factor * right[w];
      }
    }
  }
}

/** [out, in] as [in, out], in f64. */
const packed = ({ weight }: Layer, columns = sizeOf(weight.shape.slice(1))) => Float64Array.from(transposed(weightValues(weight), 1, weight.shape[0], columns));

function addBias(y: Numbers, { bias }: Layer): Numbers {
  if (!bias) return y;
  const values = weightValues(bias);
  return mapped(y, (value, i) => value + values[i % values.length]);
}

/** Error function, to 1e-12: its series below 3, the continued fraction of erfc from there. */
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 3) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + fraction)));
}

const gelu = (x: number) => (x * (1 + erf(x * Math.SQRT1_2))) / 2;
const silu = (x: number) => x / (1 + Math.exp(-x));

function softmaxInPlace(data: Float64Array, columns: number): void {
  for (let at = 0; at < data.length; at += columns) {
    const row = data.subarray(at, at + columns);
    const most = row.reduce((a, b) => Math.max(a, b));
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += row[j] = Math.exp(row[j] - most);
    for (let j = 0; j < columns; j++) row[j] /= sum;
  }
}

function linear(x: Numbers, layer: Layer): Numbers {
  const K = lastOf(x.shape);
  const N = layer.weight.shape[0];
  const y = numbers([...x.shape.slice(0, -1), N]);
  multiply(y.data, x.data.length / K, (row, into) => into.set(x.data.subarray(row * K, (row + 1) * K)), packed(layer), N);
  return addBias(y, layer);
}

function conv2d(x: Numbers, layer: Layer, padding: Padding, stride: number): Numbers {
  const [batch, height, width, channels] = x.shape;
  const [outputs, , side] = layer.weight.shape;
  const [top, left, bottom, right] = padding;
  const [outHeight, outWidth] = [(height + top + bottom - side) / stride + 1, (width + left + right - side) / stride + 1].map(Math.floor);
  const y = numbers([batch, outHeight, outWidth, outputs]);
  // Weights [out, in, taps] as [in, taps, out]: gathered rows follow that order.
  const gather = (row: number, into: Float64Array) => {
    into.fill(0);
    const [item, i, j] = [Math.floor(row / (outHeight * outWidth)), Math.floor(row / outWidth) % outHeight, row % outWidth];
    for (let di = 0; di < side; di++) {
      for (let dj = 0; dj < side; dj++) {
        const [r, c] = [i * stride + di - top, j * stride + dj - left];
        if (r < 0 || r >= height || c < 0 || c >= width) continue;
        const from = ((item * height + r) * width + c) * channels;
        for (let k = 0; k < channels; k++) into[(k * side + di) * side + dj] = x.data[from + k];
      }
    }
  };
  multiply(y.data, batch * outHeight * outWidth, gather, packed(layer), outputs);
  return addBias(y, layer);
}

/** Normalises what `groupOf` puts together, then scales and shifts by channel. */
function normalise(x: Numbers, layer: Layer, groupOf: (i: number) => number, groups: number, eps: number): Numbers {
  const count = x.data.length / groups;
  const [means, variances] = [new Float64Array(groups), new Float64Array(groups)];
  x.data.forEach((value, i) => (means[groupOf(i)] += value / count));
  x.data.forEach((value, i) => (variances[groupOf(i)] += (value - means[groupOf(i)]) ** 2 / count));
  const [scales, shifts] = [weightValues(layer.weight), weightValues(layer.bias as Weight)];
  return mapped(x, (value, i) => {
    const [g, c] = [groupOf(i), i % scales.length];
    return ((value - means[g]) / Math.sqrt(variances[g] + eps)) * scales[c] + shifts[c];
  });
}

function mappedAttention(q: Numbers, k: Numbers, v: Numbers, heads: number): { out: Numbers; map: Numbers } {
  const [, queries, channels] = q.shape;
  const keys = k.shape[1];
  const size = channels / heads;
  const out = numbers(q.shape);
  const map = numbers([1, queries, keys]);
  const head = (x: Numbers, rows: number, h: number) => Float64Array.from({ length: rows * size }, (_, i) => x.data[Math.floor(i / size) * channels + h * size + (i % size)]);
  for (let h = 0; h < heads; h++) {
    const [qh, kh, vh] = [head(q, queries, h), head(k, keys, h), head(v, keys, h)];
    const keysTurned = Float64Array.from({ length: size * keys }, (_, i) => kh[(i % keys) * size + Math.floor(i / keys)] / Math.sqrt(size));
    const p = new Float64Array(queries * keys);
    multiply(p, queries, (row, into) => into.set(qh.subarray(row * size, (row + 1) * size)), keysTurned, keys);
    softmaxInPlace(p, keys);
    for (let i = 0; i < p.length; i++) map.data[i] += p[i] / heads;
    const o = new Float64Array(queries * size);
    multiply(o, queries, (row, into) => into.set(p.subarray(row * keys, (row + 1) * keys)), vh, size);
    for (let i = 0; i < o.length; i++) out.data[Math.floor(i / size) * channels + h * size + (i % size)] = o[i];
  }
  return { out, map };
}

function meanSsim(a: Numbers, b: Numbers): Numbers {
  const [maps, side] = a.shape;
  const [window, c1, c2] = [7, (0.01 * 255) ** 2, (0.03 * 255) ** 2];
  const [places, n] = [side - window + 1, window * window];
  const y = numbers([maps]);
  for (let place = 0; place < maps * places * places; place++) {
    const [map, i, j] = [Math.floor(place / places ** 2), Math.floor(place / places) % places, place % places];
    let [sa, sb, aa, bb, ab] = [0, 0, 0, 0, 0];
    for (let tap = 0; tap < n; tap++) {
      const at = (map * side + i + Math.floor(tap / window)) * side + j + (tap % window);
      const [p, q] = [a.data[at], b.data[at]];
      sa += p;
      sb += q;
      aa += p * p;
      bb += q * q;
      ab += p * q;
    }
    const [ma, mb] = [sa / n, sb / n];
    const covariance = (squares: number, product: number) => (squares - n * product) / (n - 1);
    const structure = (2 * covariance(ab, ma * mb) + c2) / (covariance(aa, ma * ma) + covariance(bb, mb * mb) + c2);
    y.data[map] += (((2 * ma * mb + c1) / (ma * ma + mb * mb + c1)) * structure) / places ** 2;
  }
  return y;
}

const ops: Ops<Numbers> = {
  matmul(a, b) {
    const [M, K] = a.shape;
    const y = numbers([M, b.shape[1]]);
    multiply(y.data, M, (row, into) => into.set(a.data.subarray(row * K, (row + 1) * K)), b.data, b.shape[1]);
    return y;
  },
  linear(x, layer, activation) {
    const y = linear(x, layer);
    return activation ? mapped(y, activation === "gelu" ? gelu : silu) : y;
  },
  geglu(x, layer) {
    const both = linear(x, layer);
    const N = lastOf(both.shape) / 2;
    const y = numbers([...x.shape.slice(0, -1), N]);
    return mapped(y, (_, i) => both.data[Math.floor(i / N) * 2 * N + (i % N)] * gelu(both.data[Math.floor(i / N) * 2 * N + N + (i % N)]));
  },
  conv2d: (x, layer, { padding, stride = 1 }) => conv2d(x, layer, padding, stride),
  groupNorm(x, layer, { groups, eps, silu: activate }) {
    const channels = lastOf(x.shape);
    const y = normalise(x, layer, (i) => Math.floor((i % channels) / (channels / groups)), groups, eps);
    return activate ? mapped(y, silu) : y;
  },
  layerNorm: (x, layer, eps) => normalise(x, layer, (i) => Math.floor(i / lastOf(x.shape)), x.data.length / lastOf(x.shape), eps),
  softmax(x) {
    const y = numbers(x.shape, x.data.slice());
    softmaxInPlace(y.data, lastOf(x.shape));
    return y;
  },
  attention: (q, k, v, heads) => mappedAttention(q, k, v, heads).out,
  mappedAttention,
  add: (a, b) => mapped(a, (value, i) => value + b.data[i]),
  addToPixels: (x, shift) => mapped(x, (value, i) => value + shift.data[i % shift.data.length]),
  concat(a, b) {
    const [c1, c2] = [lastOf(a.shape), lastOf(b.shape)];
    const y = numbers([...a.shape.slice(0, -1), c1 + c2]);
    return mapped(y, (_, i) => {
      const [pixel, c] = [Math.floor(i / (c1 + c2)), i % (c1 + c2)];
      return c < c1 ? a.data[pixel * c1 + c] : b.data[pixel * c2 + c - c1];
    });
  },
  upsample(x) {
    const [batch, height, width, channels] = x.shape;
    const y = numbers([batch, 2 * height, 2 * width, channels]);
    return mapped(y, (_, i) => {
      const pixel = Math.floor(i / channels);
      const [row, column] = [Math.floor(pixel / (2 * width)), pixel % (2 * width)];
      return x.data[(Math.floor(row / 2) * width + Math.floor(column / 2)) * channels + (i % channels)];
    });
  },
  tokens: ({ shape: [batch, height, width, channels], data }) => numbers([batch, height * width, channels], data),
  image: ({ shape, data }, height, width) => numbers([shape[0], height, width, shape[2]], data),
  embedding(ids, table) {
    const [rows, width] = [weightValues(table), table.shape[1]];
    const y = numbers([...ids.shape, width]);
    return mapped(y, (_, i) => rows[ids.data[Math.floor(i / width)] * width + (i % width)]);
  },
  constant: ofWeight,
  ssim: meanSsim,
};

/** The plain formulas in f64 on the processor, by which every engine's numbers are judged. */
export const reference: Engine = {
  facts: { version: "f64", device: "processor", driver: "" },
  async prepare(work: Work) {
    const inputs = Object.fromEntries(Object.entries(work.inputs).map(([name, input]: [string, Input]) => [name, numbers(input.shape, Float64Array.from(inputValues(name, input)))]));
    let outputs: Outputs = {};
    return {
      async run() {
        outputs = Object.fromEntries(Object.entries(work.build(ops, inputs)).map(([name, { data }]) => [name, data]));
      },
      read: async () => outputs,
      free: () => undefined,
    };
  },
};
