import { openGpu } from "../../src/gpu/open_node.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { version } from "../../src/cli/package.ts";
import { loadModel } from "../../src/models/load.ts";
import type { Model } from "../../src/models/parameters.ts";
import { attention, crossAttention } from "../../src/ops/attention.ts";
import { conv2d } from "../../src/ops/conv.ts";
import { ssimUint8 } from "../../src/ops/grounding.ts";
import { linear, matmul } from "../../src/ops/matmul.ts";
import { groupNorm, layerNorm } from "../../src/ops/norm.ts";
import { softmax } from "../../src/ops/softmax.ts";
import type { Tensor } from "../../src/tensor.ts";
import type { TensorEntry, TensorSource } from "../../src/weights/checkpoint.ts";
import type { Engine, Input, Layer, Ops, Weight, Work } from "./engine.ts";
import { inputValues, transposed, weightValues } from "./numbers.ts";

/** What an operation of this list is: whole steps are done by the product's models. */
const notAlone = (): never => {
  throw new TypeError("this operation is measured within the product's models only");
};

function productOps(weightOf: (weight: Weight) => Tensor, capture: boolean): Ops<Tensor> {
  const layerOf = ({ weight, bias }: Layer) => ({ weight: weightOf(weight), bias: bias && weightOf(bias) });
  const normOf = ({ weight, bias }: Layer) => ({ weight: weightOf(weight), bias: weightOf(bias as Weight) });
  return {
    matmul,
    linear: (x, layer, activation) => linear(x, { ...layerOf(layer), activation }),
    conv2d: (x, layer, options) => conv2d(x, { ...layerOf(layer), ...options }),
    groupNorm: (x, layer, options) => groupNorm(x, { ...normOf(layer), ...options }),
    layerNorm: (x, layer, eps) => layerNorm(x, { ...normOf(layer), eps }),
    softmax: (x) => softmax(x),
    attention: (q, k, v, heads) => attention(q, k, v, { heads }),
    mappedAttention(q, k, v, heads) {
      const { out, captured } = crossAttention(q, k, v, { heads, capture: capture ? { all: true } : undefined });
      return { out, map: captured as Tensor };
    },
    ssim: (a, b) => {
      const [maps, side] = a.shape;
      return ssimUint8(a.reshape(maps, side * side), b.reshape(maps, side * side), side).ssim;
    },
    geglu: notAlone,
    add: notAlone,
    addToPixels: notAlone,
    concat: notAlone,
    upsample: notAlone,
    tokens: notAlone,
    image: notAlone,
    embedding: notAlone,
    constant: (weight) => weightOf(weight),
  };
}

/** A weight as the product keeps it: [in, out], [kh, kw, in, out]. */
function packedWeight(gpu: Gpu, weight: Weight): Tensor {
  const values = weightValues(weight);
  const [outputs, inputs, ...taps] = weight.shape;
  if (inputs === undefined) return gpu.tensor(values, weight.shape);
  return gpu.tensor(packTaps(values, outputs, inputs, taps.reduce((a, b) => a * b, 1)), [...taps, inputs, outputs]);
}

/** [out, in, taps] to [taps, in, out]. */
function packTaps(values: Float32Array, outputs: number, inputs: number, taps: number): Float32Array {
  const packed = new Float32Array(values.length);
  for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) for (let t = 0; t < taps; t++) packed[(t * inputs + i) * outputs + o] = values[(o * inputs + i) * taps + t];
  return packed;
}

/** A model's parameters as a checkpoint of random values. */
function randomCheckpoint(model: Model): TensorSource {
  const entries = [...model.parameters.values()].map(({ name, shape, size }): [string, TensorEntry] => [name, { name, shape, dtype: "F32", byteLength: 4 * size }]);
  // Read in pieces: the values of the present tensor are made once.
  let present: { entry: TensorEntry; bytes: ArrayBufferLike } | undefined;
  return {
    name: "random weights",
    tensors: new Map(entries),
    async read(entry, byteOffset, byteLength, into = new Uint8Array(byteLength)) {
      if (present?.entry !== entry) present = { entry, bytes: weightValues(entry).buffer };
      into.set(new Uint8Array(present.bytes, byteOffset, byteLength));
      return into;
    },
  };
}

async function recorded(gpu: Gpu, work: Work, capture: boolean, inputs: Record<string, Tensor>): Promise<() => Record<string, Tensor>> {
  if (work.product) {
    const { model, forward } = work.product();
    await loadModel(gpu, model, randomCheckpoint(model), { dtype: "f32" });
    return () => ({ y: forward(inputs, gpu) as Tensor });
  }
  const weights = new Map<string, Tensor>();
  const weightOf = (weight: Weight) => weights.get(weight.name) ?? (weights.set(weight.name, packedWeight(gpu, weight)).get(weight.name) as Tensor);
  const ops = productOps(weightOf, capture);
  // Uploads the weights: a recorded step may not.
  Object.values(work.build(ops, inputs)).forEach((tensor) => tensor?.free());
  return () => work.build(ops, inputs);
}

/** The product: recorded steps, a device a work. `capture`: whether maps are kept. */
export async function openAttnscope({ capture }: { capture: boolean }): Promise<Engine> {
  const probe = await openGpu();
  const { device, description } = probe.adapter;
  probe.close();
  return {
    facts: { version, device, driver: description },
    async prepare(work) {
      const gpu = await openGpu();
      const inputs = Object.fromEntries(
        Object.entries(work.inputs).map(([name, input]: [string, Input]) => {
          const values = inputValues(name, input);
          return [name, gpu.tensor(input.kind === "ids" ? Uint32Array.from(values) : values, input.shape)];
        }),
      );
      const step = gpu.record(work.name, await recorded(gpu, work, capture, inputs));
      return {
        async run(times) {
          for (let i = 0; i < times; i++) step.replay();
          await gpu.sync();
        },
        async read() {
          const outputs = Object.entries(step.result).filter(([, tensor]) => tensor);
          const named = await Promise.all(outputs.map(async ([name, tensor]) => [name, await gpu.read(tensor), tensor.shape] as const));
          // The product keeps a map for every key, [B, Nk, Nq].
          return Object.fromEntries(named.map(([name, values, [batch, keys, queries]]) => [name, name === "map" ? transposed(values, batch, keys, queries) : values]));
        },
        free: () => gpu.close(),
      };
    },
  };
}
