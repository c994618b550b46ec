import { create, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { sizeOf } from "../../src/tensor.ts";
import type { Input, Layer, Ops, Padding, Weight, Work } from "./engine.ts";
import { toChannelsFirst, transposed, weightValues } from "./numbers.ts";

/** A value of the graph. Images, the values of four sides, lie channels-first; `shape` is channels-last all the same. */
export interface Value {
  name: string;
  shape: readonly number[];
}

/** A side of the memory's order. */
export const memoryShape = (shape: readonly number[]): number[] => (shape.length === 4 ? [shape[0], shape[3], shape[1], shape[2]] : [...shape]);

type Attribute = number | readonly number[] | string;
const [float32, int32, int64] = [1, 6, 7];
const domains = { onnx: "", microsoft: "com.microsoft" } as const;

function attributeOf(name: string, value: Attribute) {
  if (typeof value === "string") return { name, s: new TextEncoder().encode(value), type: 3 };
  if (typeof value !== "number") return { name, ints: value.map(BigInt), type: 7 };
  return Number.isInteger(value) ? { name, i: BigInt(value), type: 2 } : { name, f: value, type: 1 };
}

const valueInfo = (name: string, shape: readonly number[], elemType: number) => ({
  name,
  type: { value: { case: "tensorType" as const, value: { elemType, shape: { dim: shape.map((side) => ({ value: { case: "dimValue" as const, value: BigInt(side) } })) } } } },
});

/** Collects the nodes and weights of a graph. */
function createGraph() {
  const nodes: object[] = [];
  const initializers = new Map<string, object>();
  let count = 0;
  const initializer = (name: string, dims: readonly number[], values: Float32Array | Int32Array | BigInt64Array): Value => {
    const dataType = values instanceof Float32Array ? float32 : values instanceof Int32Array ? int32 : int64;
    if (!initializers.has(name)) initializers.set(name, { name, dims: dims.map(BigInt), dataType, rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) });
    return { name, shape: dims };
  };
  return {
    nodes,
    initializers,
    initializer,
    /** Adds a node; its output has the shape. */
    node(opType: string, inputs: readonly Value[], shape: readonly number[], attributes: Record<string, Attribute> = {}, domain: keyof typeof domains = "onnx"): Value {
      const name = `${opType} ${count++}`;
      nodes.push({ name, opType, domain: domains[domain], input: inputs.map((input) => input.name), output: [name], attribute: Object.entries(attributes).map(([key, value]) => attributeOf(key, value)) });
      return { name, shape };
    },
    scalar: (value: number) => initializer(`scalar ${value}`, [], Float32Array.of(value)),
    integers: (values: readonly number[]) => initializer(`integers ${values}`, [values.length], BigInt64Array.from(values.map(BigInt))),
    vector: (name: string, { shape }: Weight, values: Float32Array, sides: readonly number[] = shape) => initializer(name, sides, values),
  };
}

type Graph = ReturnType<typeof createGraph>;

function productNodes(g: Graph, fusedAttention: boolean) {
  const reshape = (x: Value, memory: readonly number[], shape: readonly number[] = memory) => g.node("Reshape", [x, g.integers(memory)], shape);
  const transpose = (x: Value, perm: readonly number[], shape: readonly number[]) => g.node("Transpose", [x], shape, { perm });
  const same = (opType: string, ...inputs: Value[]) => g.node(opType, inputs, inputs[0].shape);
  const linear = (x: Value, { weight, bias }: Layer): Value => {
    const [outputs, inputs] = weight.shape;
    const turned = g.initializer(weight.name, [inputs, outputs], transposed(weightValues(weight), 1, outputs, inputs));
    const y = g.node("MatMul", [x, turned], [...x.shape.slice(0, -1), outputs]);
    return bias ? same("Add", y, g.vector(bias.name, bias, weightValues(bias))) : y;
  };
  const heads = ({ name, shape: [batch, count, channels] }: Value, number: number, perm: readonly number[]) => {
    const split = reshape({ name, shape: [] }, [batch, count, number, channels / number]);
    return transpose(split, perm, perm.map((side) => split.shape[side]));
  };
  const probabilities = (q: Value, k: Value, number: number) => {
    const scores = g.node("MatMul", [heads(q, number, [0, 2, 1, 3]), heads(k, number, [0, 2, 3, 1])], [q.shape[0], number, q.shape[1], k.shape[1]]);
    return g.node("Softmax", [same("Mul", scores, g.scalar((q.shape[2] / number) ** -0.5))], scores.shape, { axis: -1 });
  };
  const weighted = (p: Value, v: Value, number: number, shape: readonly number[]) => {
    const [batch, , queries] = p.shape;
    const out = g.node("MatMul", [p, heads(v, number, [0, 2, 1, 3])], [batch, number, queries, shape[2] / number]);
    return reshape(transpose(out, [0, 2, 1, 3], []), shape);
  };
  const attention = (q: Value, k: Value, v: Value, number: number) =>
    fusedAttention ? g.node("MultiHeadAttention", [q, k, v], q.shape, { num_heads: number }, "microsoft") : weighted(probabilities(q, k, number), v, number, q.shape);
  const silu = (x: Value) => same("Mul", x, same("Sigmoid", x));
  const gelu = (x: Value) => g.node("Gelu", [x], x.shape, {}, "microsoft");
  return { reshape, transpose, same, linear, probabilities, weighted, attention, silu, gelu };
}

function ssim(g: Graph, a: Value, b: Value): Value {
  const { reshape, same } = productNodes(g, false);
  const [maps, side] = a.shape;
  const [places, n] = [side - 6, 49];
  const mean = (x: Value) => g.node("AveragePool", [x], [maps, 1, places, places], { kernel_shape: [7, 7] });
  const [x, y] = [a, b].map((of) => reshape(of, [maps, 1, side, side]));
  const [mx, my] = [mean(x), mean(y)];
  const [xx, yy, xy] = [same("Mul", mx, mx), same("Mul", my, my), same("Mul", mx, my)];
  const times = (of: Value, factor: number) => same("Mul", of, g.scalar(factor));
  const plus = (of: Value, term: number) => same("Add", of, g.scalar(term));
  const covariance = (p: Value, q: Value, product: Value) => times(same("Sub", mean(same("Mul", p, q)), product), n / (n - 1));
  const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
  const luminance = same("Div", plus(times(xy, 2), c1), plus(same("Add", xx, yy), c1));
  const structure = same("Div", plus(times(covariance(x, y, xy), 2), c2), plus(same("Add", covariance(x, x, xx), covariance(y, y, yy)), c2));
  return g.node("ReduceMean", [same("Mul", luminance, structure), g.integers([1, 2, 3])], [maps], { keepdims: 0 });
}

function onnxOps(g: Graph, fusedAttention: boolean): Ops<Value> {
  const { reshape, transpose, same, linear, probabilities, weighted, attention, silu, gelu } = productNodes(g, fusedAttention);
  return {
    matmul: (a, b) => g.node("MatMul", [a, b], [a.shape[0], b.shape[1]]),
    linear(x, layer, activation) {
      const y = linear(x, layer);
      return activation === undefined ? y : activation === "gelu" ? gelu(y) : silu(y);
    },
    geglu(x, layer) {
      const both = linear(x, layer);
      const N = layer.weight.shape[0] / 2;
      const half = (from: number) => g.node("Slice", [both, g.integers([from]), g.integers([from + N]), g.integers([-1])], [...x.shape.slice(0, -1), N]);
      return same("Mul", half(0), gelu(half(N)));
    },
    conv2d(x, { weight, bias }, { padding, stride = 1 }) {
      const [outputs, , side] = weight.shape;
      const out = (size: number, before: number, after: number) => Math.floor((size + before + after - side) / stride) + 1;
      const [batch, height, width] = x.shape;
      const [top, left, bottom, right]: Padding = padding;
      const inputs = [x, g.initializer(weight.name, weight.shape, weightValues(weight)), ...(bias ? [g.vector(bias.name, bias, weightValues(bias))] : [])];
      return g.node("Conv", inputs, [batch, out(height, top, bottom), out(width, left, right), outputs], { kernel_shape: [side, side], pads: padding, strides: [stride, stride] });
    },
    groupNorm(x, { weight, bias }, { groups, eps, silu: activate }) {
      const [batch, , , channels] = x.shape;
      const grouped = reshape(x, [batch, groups, sizeOf(x.shape) / batch / groups]);
      const [ones, zeros] = [1, 0].map((value) => g.initializer(`${groups} times ${value}`, [groups], new Float32Array(groups).fill(value)));
      const normalised = reshape(g.node("InstanceNormalization", [grouped, ones, zeros], grouped.shape, { epsilon: eps }), memoryShape(x.shape), x.shape);
      const [scale, shift] = [weight, bias as Weight].map((of) => g.vector(of.name, of, weightValues(of), [channels, 1, 1]));
      const y = same("Add", same("Mul", normalised, scale), shift);
      return activate ? silu(y) : y;
    },
    layerNorm: (x, { weight, bias }, eps) => g.node("LayerNormalization", [x, ...[weight, bias as Weight].map((of) => g.vector(of.name, of, weightValues(of)))], x.shape, { axis: -1, epsilon: eps }),
    softmax: (x) => g.node("Softmax", [x], x.shape, { axis: -1 }),
    attention,
    mappedAttention(q, k, v, number) {
      const p = probabilities(q, k, number);
      return { out: weighted(p, v, number, q.shape), map: g.node("ReduceMean", [p, g.integers([1])], [1, q.shape[1], k.shape[1]], { keepdims: 0 }) };
    },
    add: (a, b) => same("Add", a, b),
    addToPixels: (x, shift) => same("Add", x, reshape(shift, [1, shift.shape[1], 1, 1])),
    concat: (a, b) => g.node("Concat", [a, b], [...a.shape.slice(0, 3), a.shape[3] + b.shape[3]], { axis: 1 }),
    upsample(x) {
      const [batch, height, width, channels] = x.shape;
      const scales = g.initializer("twice", [4], Float32Array.of(1, 1, 2, 2));
      return g.node("Resize", [x, { name: "", shape: [] }, scales], [batch, 2 * height, 2 * width, channels], { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" });
    },
    tokens: (x) => transpose(reshape(x, [x.shape[0], x.shape[3], x.shape[1] * x.shape[2]]), [0, 2, 1], [x.shape[0], x.shape[1] * x.shape[2], x.shape[3]]),
    image(x, height, width) {
      const [batch, , channels] = x.shape;
      return reshape(transpose(x, [0, 2, 1], []), [batch, channels, height, width], [batch, height, width, channels]);
    },
    embedding: (ids, table) => g.node("Gather", [g.initializer(table.name, table.shape, weightValues(table)), ids], [...ids.shape, table.shape[1]], { axis: 0 }),
    constant(weight) {
      const values = weightValues(weight);
      const isIds = weight.name.endsWith(" ids");
      return g.initializer(weight.name, weight.shape, isIds ? Int32Array.from(values) : values);
    },
    ssim: (a, b) => ssim(g, a, b),
  };
}

/** A work as the bytes of an ONNX model, and the shapes of its outputs. `fusedAttention`: as ONNX Runtime's MultiHeadAttention. */
export function onnxModel(work: Work, fusedAttention: boolean): { bytes: Uint8Array; shapes: Map<string, readonly number[]> } {
  const g = createGraph();
  const inputs = Object.entries(work.inputs).map(([name, input]: [string, Input]): [string, Value] => [name, { name, shape: input.shape }]);
  const outputs = Object.entries(work.build(onnxOps(g, fusedAttention), Object.fromEntries(inputs)));
  for (const [name, value] of outputs) g.nodes.push({ name: `output ${name}`, opType: "Identity", input: [value.name], output: [name] });
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: "", version: 20n }, { domain: domains.microsoft, version: 1n }],
    graph: {
      name: work.name,
      node: g.nodes,
      initializer: [...g.initializers.values()],
      input: inputs.map(([name, { shape }]) => valueInfo(name, memoryShape(shape), work.inputs[name].kind === "ids" ? int32 : float32)),
      output: outputs.map(([name, { shape }]) => valueInfo(name, memoryShape(shape), float32)),
    },
  });
  return { bytes: toBinary(ModelProtoSchema, model), shapes: new Map(outputs.map(([name, { shape }]) => [name, shape])) };
}

/** An input as it lies in memory. */
export const inMemoryOrder = (values: Float32Array, { kind, shape }: Input): Float32Array => (kind === "image" ? toChannelsFirst(values, shape) : values);
