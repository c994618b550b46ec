import { sizeOf } from "../../src/tensor.ts";
import type { Engine, Input, Layer, Ops, Padding, Weight, Work } from "./engine.ts";
import { provideNavigatorGpu } from "./navigator_node.ts";
import { inputValues, transposed, weightValues } from "./numbers.ts";
import { versionOf } from "./packages.ts";

/** What is used of a tensor of TensorFlow.js. */
interface TfTensor {
  shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

// The package is untyped here: see peer_modules.d.ts.
type Tf = any;

function ssim(tf: Tf, a: TfTensor, b: TfTensor): TfTensor {
  const [maps, side] = a.shape;
  const [c1, c2, n] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2, 49];
  const mean = (x: TfTensor) => tf.avgPool(tf.reshape(x, [maps, side, side, 1]), 7, 1, "valid");
  const [mx, my] = [mean(a), mean(b)];
  const [xx, yy, xy] = [tf.square(mx), tf.square(my), tf.mul(mx, my)];
  const covariance = (p: TfTensor, q: TfTensor, product: TfTensor) => tf.mul(tf.sub(mean(tf.mul(p, q)), product), n / (n - 1));
  const luminance = tf.div(tf.add(tf.mul(xy, 2), c1), tf.add(tf.add(xx, yy), c1));
  const structure = tf.div(tf.add(tf.mul(covariance(a, b, xy), 2), c2), tf.add(tf.add(covariance(a, a, xx), covariance(b, b, yy)), c2));
  return tf.mean(tf.mul(luminance, structure), [1, 2, 3]);
}

function tfOps(tf: Tf, weightOf: (key: string, make: () => TfTensor) => TfTensor): Ops<TfTensor> {
  const plain = (weight: Weight) => weightOf(weight.name, () => tf.tensor(weightValues(weight), weight.shape, weight.name.endsWith(" ids") ? "int32" : "float32"));
  const product = ({ weight }: Layer) => {
    const [outputs, inputs] = weight.shape;
    return weightOf(weight.name, () => tf.tensor(transposed(weightValues(weight), 1, outputs, inputs), [inputs, outputs]));
  };
  const filter = ({ weight }: Layer) => weightOf(weight.name, () => tf.tidy(() => tf.transpose(tf.tensor(weightValues(weight), weight.shape), [2, 3, 1, 0])));
  const gelu = (x: TfTensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const silu = (x: TfTensor) => tf.mul(x, tf.sigmoid(x));
  const linear = (x: TfTensor, layer: Layer) => {
    const K = x.shape[x.shape.length - 1];
    const y = tf.fused.matMul({ a: tf.reshape(x, [sizeOf(x.shape) / K, K]), b: product(layer), bias: layer.bias && plain(layer.bias) });
    return tf.reshape(y, [...x.shape.slice(0, -1), layer.weight.shape[0]]);
  };
  const normalise = (x: TfTensor, axes: number[], eps: number) => {
    const { mean, variance } = tf.moments(x, axes, true);
    return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, eps)));
  };
  const affine = (x: TfTensor, { weight, bias }: Layer) => tf.add(tf.mul(x, plain(weight)), plain(bias as Weight));
  const heads = (x: TfTensor, number: number) => tf.transpose(tf.reshape(x, [x.shape[0], x.shape[1], number, x.shape[2] / number]), [0, 2, 1, 3]);
  const mappedAttention = (q: TfTensor, k: TfTensor, v: TfTensor, number: number) => {
    const p = tf.softmax(tf.mul(tf.matMul(heads(q, number), heads(k, number), false, true), (q.shape[2] / number) ** -0.5));
    return { out: tf.reshape(tf.transpose(tf.matMul(p, heads(v, number)), [0, 2, 1, 3]), q.shape), probabilities: p };
  };
  return {
    matmul: (a, b) => tf.matMul(a, b),
    linear(x, layer, activation) {
      const y = linear(x, layer);
      return activation === undefined ? y : activation === "gelu" ? gelu(y) : silu(y);
    },
    geglu(x, layer) {
      const [value, gate] = tf.split(linear(x, layer), 2, -1);
      return tf.mul(value, gelu(gate));
    },
    conv2d(x, layer, { padding, stride = 1 }) {
      const [top, left, bottom, right]: Padding = padding;
      return tf.fused.conv2d({ x, filter: filter(layer), strides: stride, pad: [[0, 0], [top, bottom], [left, right], [0, 0]], bias: layer.bias && plain(layer.bias) });
    },
    groupNorm(x, layer, { groups, eps, silu: activate }) {
      const [batch, height, width, channels] = x.shape;
      const grouped = tf.reshape(x, [batch, height * width, groups, channels / groups]);
      const y = affine(tf.reshape(normalise(grouped, [1, 3], eps), x.shape), layer);
      return activate ? silu(y) : y;
    },
    layerNorm: (x, layer, eps) => affine(normalise(x, [x.shape.length - 1], eps), layer),
    softmax: (x) => tf.softmax(x),
    attention: (q, k, v, number) => mappedAttention(q, k, v, number).out,
    mappedAttention(q, k, v, number) {
      const { out, probabilities } = mappedAttention(q, k, v, number);
      return { out, map: tf.mean(probabilities, 1) };
    },
    add: (a, b) => tf.add(a, b),
    addToPixels: (x, shift) => tf.add(x, tf.reshape(shift, [1, 1, 1, shift.shape[1]])),
    concat: (a, b) => tf.concat([a, b], 3),
    upsample: (x) => tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]),
    tokens: (x) => tf.reshape(x, [x.shape[0], x.shape[1] * x.shape[2], x.shape[3]]),
    image: (x, height, width) => tf.reshape(x, [x.shape[0], height, width, x.shape[2]]),
    embedding: (ids, table) => tf.gather(plain(table), ids),
    constant: plain,
    ssim: (a, b) => ssim(tf, a, b),
  };
}

/** TensorFlow.js's WebGPU backend on Dawn for Node; tensors stay on the device. */
export async function openTfjs(): Promise<Engine> {
  const { facts, wait } = await provideNavigatorGpu();
  const tf: Tf = await import("@tensorflow/tfjs-core");
  await import("@tensorflow/tfjs-backend-webgpu");
  // Small tensors would be computed on the processor.
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  if (!(await tf.setBackend("webgpu"))) throw new Error("its WebGPU backend did not start");
  const backend: { device: GPUDevice; endComputePassEncoder(): void; submitQueue(): void; commandEncoder: object | null } = tf.backend();
  return {
    facts: { version: versionOf("@tensorflow/tfjs-backend-webgpu"), ...facts },
    async prepare(work: Work) {
      const weights = new Map<string, TfTensor>();
      const weightOf = (key: string, make: () => TfTensor): TfTensor => weights.get(key) ?? (weights.set(key, tf.keep(make())).get(key) as TfTensor);
      const ops = tfOps(tf, weightOf);
      const inputs: Record<string, TfTensor> = Object.fromEntries(
        Object.entries(work.inputs).map(([name, input]: [string, Input]) => [name, tf.tensor(inputValues(name, input), input.shape, input.kind === "ids" ? "int32" : "float32")]),
      );
      let outputs: Record<string, TfTensor> = {};
      const drop = (tensors: Iterable<TfTensor>) => [...tensors].forEach((tensor) => tensor.dispose());
      return {
        async run(times) {
          for (let i = 0; i < times; i++) {
            drop(Object.values(outputs));
            outputs = tf.tidy(() => work.build(ops, inputs));
          }
          if (backend.commandEncoder) {
            backend.endComputePassEncoder();
            backend.submitQueue();
          }
          await wait(backend.device.queue.onSubmittedWorkDone());
        },
        read: async () => Object.fromEntries(await Promise.all(Object.entries(outputs).map(async ([name, tensor]) => [name, await tensor.data()]))),
        free: () => drop([...Object.values(outputs), ...Object.values(inputs), ...weights.values()]),
      };
    },
  };
}
