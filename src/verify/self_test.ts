import { DeviceLostError } from "../errors.ts";
import { widenFloat16 } from "../float16.ts";
import { builtins, lanes as lanesKernel } from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { attention } from "../ops/attention.ts";
import { conv2d } from "../ops/conv.ts";
import { matmul } from "../ops/matmul.ts";
import { groupNorm, layerNorm } from "../ops/norm.ts";
import { cast } from "../ops/pointwise.ts";
import { softmax } from "../ops/softmax.ts";
import type { Tensor } from "../tensor.ts";
import { onDevice } from "./context.ts";
import { byFormula } from "./formula.ts";
import { type Part, absolutePart, exactPart, relativePart } from "./parts.ts";

/** Measures what the kernels rely on: WGSL's functions, conversions, subgroups, and every chosen kernel beside its naive version. */
export async function selfTest(gpu: Gpu): Promise<Part[]> {
  const checks: Record<string, () => Promise<Part[]>> = {
    functions: () => builtinParts(gpu),
    softmax: () => softmaxParts(gpu),
    ...(gpu.has("shader-f16") ? { f16: () => halfParts(gpu) } : {}),
    ...(gpu.has("subgroups") ? { subgroups: () => laneParts(gpu) } : {}),
    kernels: () => variantParts(gpu),
  };
  const parts: Part[] = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      parts.push(...(await check()));
    } catch (error) {
      if (error instanceof DeviceLostError) throw error;
      parts.push({ name, error: Infinity, bound: 0, note: (error as Error).message });
    }
  }
  return parts;
}

/** A function of WGSL with the error that its specification allows at x, where the exact value is y. */
interface Builtin {
  name: string;
  from: number;
  to: number;
  exact: (x: number) => number;
  allowed: (x: number, y: number) => number;
}

const ulp = (y: number) => 2 ** (Math.floor(Math.log2(Math.abs(y))) - 23);

/** In the order of kernels/verify/builtins.wgsl. Accuracies: WGSL, section "Floating Point Accuracy". */
const functions: readonly Builtin[] = [
  { name: "exp", from: -80, to: 80, exact: Math.exp, allowed: (x, y) => (3 + 2 * Math.abs(x)) * ulp(y) },
  { name: "log", from: 1e-3, to: 1e3, exact: Math.log, allowed: (x, y) => (x >= 0.5 && x <= 2 ? 2 ** -21 : 3 * ulp(y)) },
  { name: "tanh", from: -15, to: 15, exact: Math.tanh, allowed: () => 1e-5 },
  { name: "inverseSqrt", from: 1e-6, to: 1e6, exact: (x) => x ** -0.5, allowed: (_, y) => 2 * ulp(y) },
  { name: "division", from: -1e3, to: 1e3, exact: (x) => 1 / x, allowed: (_, y) => 2.5 * ulp(y) },
];

const samples = 20_000; // even: no sample at 0

async function builtinParts(gpu: Gpu): Promise<Part[]> {
  const parts: Part[] = [];
  for (const [code, { name, from, to, exact, allowed }] of functions.entries()) {
    const x = Float32Array.from({ length: samples }, (_, i) => from + ((i + 0.5) / samples) * (to - from));
    const { y } = await onDevice(gpu, () => {
      const result = gpu.empty([samples]);
      gpu.run(builtins, { bindings: { x: gpu.tensor(x, [samples]), y: result }, params: { count: samples }, overrides: { FUNCTION: code }, prelude: {}, grid: Math.ceil(samples / 64) });
      return { y: result };
    });
    const shares = y.data.map((value, i) => Math.abs(value - exact(x[i])) / allowed(x[i], exact(x[i])));
    parts.push(absolutePart(`${name}, of the error that WGSL allows`, shares, new Float32Array(samples), 1));
  }
  return parts;
}

/** Logits of many thousands, and masked ones: what overflows where the maximum is not taken off first. */
async function softmaxParts(gpu: Gpu): Promise<Part[]> {
  const columns = 77;
  const logits = Float32Array.from({ length: 16 * columns }, (_, i) => (i % 5 === 0 ? -3e38 : 2e4 + 40 * Math.sin(i * i)));
  const { y } = await onDevice(gpu, () => ({ y: softmax(gpu.tensor(logits, [16, columns])) }));
  const expected = logits.map((logit, i) => {
    const row = logits.subarray(i - (i % columns), i - (i % columns) + columns);
    const largest = Math.max(...row);
    return Math.exp(logit - largest) / row.reduce((sum, other) => sum + Math.exp(other - largest), 0);
  });
  return [absolutePart("softmax of large logits", y.data, expected, 1e-5)];
}

/** Every normal half to f32 and back. */
async function halfParts(gpu: Gpu): Promise<Part[]> {
  const halves = Uint16Array.from({ length: 2 * 30 * 1024 }, (_, i) => (i % 2 === 0 ? 0 : 0x8000) + 0x400 + (i >> 1));
  const { wide, back } = await onDevice(gpu, () => {
    const widened = cast(gpu.tensor(halves, [halves.length]), "f32");
    return { wide: widened, back: cast(cast(widened, "f16"), "f32") };
  });
  const expected = widenFloat16(halves);
  return [exactPart("f16 to f32 and back", [...wide.data, ...back.data], [...expected, ...expected])];
}

/** Kernels number the invocations of a workgroup by subgroup and lane; shuffles and sums stay inside a subgroup. */
async function laneParts(gpu: Gpu): Promise<Part[]> {
  const [workgroup, workgroups] = [64, 4];
  const count = workgroup * workgroups;
  const { found } = await onDevice(gpu, () => {
    const result = gpu.empty([count, 4], "u32");
    gpu.run(lanesKernel, { bindings: { lanes: result }, params: {}, overrides: { WORKGROUP: workgroup }, prelude: {}, grid: workgroups });
    return { found: result };
  });
  const size = found.data[0];
  const expected = Array.from({ length: count }, (_, i) => {
    const local = i % workgroup;
    const first = local - (local % size);
    return [size, local % size, (local ^ 1) + 1, size * (first + 1) + (size * (size - 1)) / 2];
  });
  return [{ ...exactPart("subgroups in order", [...found.data], expected.flat()), note: `${size} lanes` }];
}

/** Pseudo-random values in [-1, 1) times `factor`. */
function values(gpu: Gpu, name: string, shape: readonly number[], factor = 1): Tensor {
  return gpu.tensor(byFormula(name, [shape.reduce((a, b) => a * b, 1)]).map((value) => 20 * factor * value), shape);
}

/** The kernels that are chosen on this device beside the naive ones. */
async function variantParts(gpu: Gpu): Promise<Part[]> {
  const ops: Record<string, (variant?: "naive") => Tensor> = {
    matmul: (variant) => matmul(values(gpu, "a", [65, 131]), values(gpu, "b", [131, 76]), { variant }),
    conv2d: (variant) => conv2d(values(gpu, "x", [2, 13, 11, 20]), { weight: values(gpu, "w", [3, 3, 20, 36]), padding: [1, 1, 1, 1], variant }),
    attention: (variant) => attention(values(gpu, "q", [2, 67, 80], 10), values(gpu, "k", [2, 67, 80]), values(gpu, "v", [2, 67, 80]), { heads: 2, variant }),
    groupNorm: (variant) => groupNorm(values(gpu, "x", [2, 9, 13, 32]), { weight: values(gpu, "w", [32]), bias: values(gpu, "b", [32]), groups: 8, eps: 1e-5, variant }),
    layerNorm: (variant) => layerNorm(values(gpu, "x", [33, 76]), { weight: values(gpu, "w", [76]), bias: values(gpu, "b", [76]), eps: 1e-5, variant }),
  };
  const parts: Part[] = [];
  for (const [name, op] of Object.entries(ops)) {
    const { chosen, naive } = await onDevice(gpu, () => ({ chosen: op(), naive: op("naive") }));
    parts.push(relativePart(`${name} beside its naive kernel`, chosen.data, naive.data, 1e-5));
  }
  return parts;
}
