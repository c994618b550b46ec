import { sizeOf } from "../../src/tensor.ts";
import type { Engine, Input, Layer, Ops, Outputs, Padding, Weight, Work } from "./engine.ts";
import { provideNavigatorGpu } from "./navigator_node.ts";
import { inputValues, toChannelsFirst, toChannelsLast, transposed, weightValues } from "./numbers.ts";
import { versionOf } from "./packages.ts";

/** What is used of an array of jax-js. Every operation consumes its arguments, but for those given as `ref`. */
interface JaxArray {
  shape: number[];
  ref: JaxArray;
  data(): Promise<Float32Array>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
}

// The package is untyped here: see peer_modules.d.ts.
type Jax = any;

/** Images are channels-first, its convolutions' only layout. */
function jaxOps({ numpy: np, nn, lax }: Jax, weightOf: (key: string, make: () => JaxArray) => JaxArray): Ops<JaxArray> {
  const array = (values: Float32Array | Int32Array, shape: readonly number[]): JaxArray => np.array(values, { shape: [...shape] });
  const plain = (weight: Weight, shape = weight.shape) => weightOf(weight.name, () => array(weight.name.endsWith(" ids") ? Int32Array.from(weightValues(weight)) : weightValues(weight), shape)).ref;
  const linear = (x: JaxArray, { weight, bias }: Layer): JaxArray => {
    const [outputs, inputs] = weight.shape;
    const y = np.matmul(x.ref, weightOf(weight.name, () => array(transposed(weightValues(weight), 1, outputs, inputs), [inputs, outputs])).ref);
    return bias ? np.add(y, plain(bias)) : y;
  };
  const gelu = (x: JaxArray) => nn.gelu(x, { approximate: false });
  const heads = (x: JaxArray, number: number, perm: readonly number[]) => np.transpose(np.reshape(x.ref, [x.shape[0], x.shape[1], number, x.shape[2] / number]), perm);
  const attend = (q: JaxArray, k: JaxArray, v: JaxArray, number: number) => {
    const scores = np.multiply(np.matmul(heads(q, number, [0, 2, 1, 3]), heads(k, number, [0, 2, 3, 1])), (q.shape[2] / number) ** -0.5);
    const p: JaxArray = nn.softmax(scores, -1);
    return { out: np.reshape(np.transpose(np.matmul(p.ref, heads(v, number, [0, 2, 1, 3])), [0, 2, 1, 3]), [...q.shape]), p };
  };
  const mean = (x: JaxArray) => np.multiply(lax.reduceWindow(x.ref, (a: JaxArray) => np.sum(a), [7, 7], [1, 1]), 1 / 49);
  return {
    matmul: (a, b) => np.matmul(a.ref, b.ref),
    linear(x, layer, activation) {
      const y = linear(x, layer);
      return activation === undefined ? y : activation === "gelu" ? gelu(y) : nn.silu(y);
    },
    geglu(x, layer) {
      const [value, gate] = np.split(linear(x, layer), 2, -1);
      return np.multiply(value, gelu(gate));
    },
    conv2d(x, { weight, bias }, { padding, stride = 1 }) {
      const [top, left, bottom, right]: Padding = padding;
      const y = lax.convGeneralDilated(x.ref, plain(weight), [stride, stride], [[top, bottom], [left, right]]);
      return bias ? np.add(y, plain(bias, [bias.shape[0], 1, 1])) : y;
    },
    groupNorm(x, { weight, bias }, { groups, eps, silu }) {
      const grouped = np.reshape(x.ref, [x.shape[0], groups, sizeOf(x.shape) / x.shape[0] / groups]);
      const normalised = np.reshape(nn.standardize(grouped, -1, { epsilon: eps }), [...x.shape]);
      const sides = [weight.shape[0], 1, 1];
      const y = np.add(np.multiply(normalised, plain(weight, sides)), plain(bias as Weight, sides));
      return silu ? nn.silu(y) : y;
    },
    layerNorm: (x, { weight, bias }, eps) => np.add(np.multiply(nn.standardize(x.ref, -1, { epsilon: eps }), plain(weight)), plain(bias as Weight)),
    softmax: (x) => nn.softmax(x.ref, -1),
    attention: (q, k, v, number) => attend(q, k, v, number).out,
    mappedAttention(q, k, v, number) {
      const { out, p } = attend(q, k, v, number);
      return { out, map: np.mean(p, 1) };
    },
    add: (a, b) => np.add(a.ref, b.ref),
    addToPixels: (x, shift) => np.add(x.ref, np.reshape(shift.ref, [1, shift.shape[1], 1, 1])),
    concat: (a, b) => np.concatenate([a.ref, b.ref], 1),
    upsample: (x) => np.repeat(np.repeat(x.ref, 2, 2), 2, 3),
    tokens: (x) => np.transpose(np.reshape(x.ref, [x.shape[0], x.shape[1], x.shape[2] * x.shape[3]]), [0, 2, 1]),
    image: (x, height, width) => np.reshape(np.transpose(x.ref, [0, 2, 1]), [x.shape[0], x.shape[2], height, width]),
    embedding: (ids, table) => np.take(plain(table), ids.ref, 0),
    constant: (weight) => plain(weight),
    ssim(a, b) {
      const [c1, c2, n] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2, 49];
      const times = (x: JaxArray, y: JaxArray | number) => np.multiply(x.ref, typeof y === "number" ? y : y.ref);
      const plus = (x: JaxArray, y: JaxArray | number) => np.add(x.ref, typeof y === "number" ? y : y.ref);
      const [mx, my] = [mean(a), mean(b)];
      const [xx, yy, xy] = [times(mx, mx), times(my, my), times(mx, my)];
      const covariance = (p: JaxArray, q: JaxArray, product: JaxArray) => times(np.subtract(mean(times(p, q)), product.ref), n / (n - 1));
      const luminance = np.divide(plus(times(xy, 2), c1), plus(plus(xx, yy), c1));
      const structure = np.divide(plus(times(covariance(a, b, xy), 2), c2), plus(plus(covariance(a, a, xx), covariance(b, b, yy)), c2));
      return np.mean(np.multiply(luminance, structure), [1, 2]);
    },
  };
}

/** jax-js on Dawn for Node: each work is one jitted function; arrays stay on the device. */
export async function openJax(): Promise<Engine> {
  const { facts, wait } = await provideNavigatorGpu();
  const jax: Jax = await import("@jax-js/jax");
  if (!(await jax.init("webgpu")).includes("webgpu")) throw new Error("its WebGPU backend did not start");
  jax.defaultDevice("webgpu");
  return {
    facts: { version: versionOf("@jax-js/jax"), ...facts },
    async prepare(work: Work) {
      const weights = new Map<string, JaxArray>();
      const weightOf = (key: string, make: () => JaxArray): JaxArray => weights.get(key) ?? (weights.set(key, make()).get(key) as JaxArray);
      const inputs = Object.fromEntries(
        Object.entries(work.inputs).map(([name, input]: [string, Input]) => {
          const values = inputValues(name, input);
          const inOrder = input.kind === "image" ? toChannelsFirst(values, input.shape) : input.kind === "ids" ? Int32Array.from(values) : values;
          const [batch, height, width, channels] = input.shape;
          return [name, jax.numpy.array(inOrder, { shape: input.kind === "image" ? [batch, channels, height, width] : [...input.shape] })];
        }),
      );
      const step = jax.jit((of: Record<string, JaxArray>) => work.build(jaxOps(jax, weightOf), of));
      let outputs: Record<string, JaxArray> = {};
      const drop = () => Object.values(outputs).forEach((output) => output.dispose());
      return {
        async run(times) {
          // It computes lazily: a result that is dropped before it is waited for is never computed. So all are waited for, together.
          drop();
          const all: Record<string, JaxArray>[] = [];
          for (let i = 0; i < times; i++) all.push(step(Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, x.ref]))));
          await wait(Promise.all(all.flatMap((of) => Object.values(of)).map((output) => output.blockUntilReady())));
          outputs = all.pop() ?? {};
          for (const of of all) Object.values(of).forEach((output) => output.dispose());
        },
        async read() {
          const read: Outputs = {};
          for (const [name, { ref, shape }] of Object.entries(outputs)) {
            const values = await ref.data();
            const [batch, channels, height, width] = shape;
            read[name] = shape.length === 4 ? toChannelsLast(values, [batch, height, width, channels]) : values;
          }
          return read;
        },
        free: () => {
          drop();
          step.dispose();
          [...Object.values(inputs), ...weights.values()].forEach((array) => array.dispose());
        },
      };
    },
  };
}
