import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpoint } from "../src/autograd.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { type Activation, activationBackward } from "../src/ops/activation.ts";
import type { Float } from "../src/ops/check.ts";
import { geglu, linear, linearBackward } from "../src/ops/matmul.ts";
import type { ProductVariant } from "../src/ops/tiles.ts";
import { Tape } from "../src/tape.ts";
import type { Tensor } from "../src/tensor.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";
import { activationSlope, columnSums, productBackwardReference } from "./product_backward_reference.ts";
import { matmulCases } from "./product_cases.ts";
import { activate, productReference } from "./product_reference.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));
const activations = ["gelu", "gelu_tanh", "quick_gelu", "silu", "relu"] as const;
const exact = (value: number) => value;

type Sizes = (typeof matmulCases)[number];

const given = ([batches, M, K, N]: Sizes, dtypeX: Float = "f32", dtypeW: Float = "f32") => ({
  x: randomValues(batches * M * K, 1, dtypeX),
  weight: randomValues(K * N, 2, dtypeW),
  bias: randomValues(N, 3, dtypeW),
  residual: randomValues(batches * M * N, 4, dtypeX),
  dy: randomValues(batches * M * N, 5, dtypeX),
});

type Values = { [name in keyof ReturnType<typeof given>]: ArrayLike<number> };

/** Rows of x W + bias. */
function sumsReference({ x, weight, bias }: Values, sizes: Sizes, round: Round): Float64Array {
  return productReference({ a: x, b: weight, sizes }, round).map((sum, i) => round(sum + bias[i % sizes[3]]));
}

function linearReference(values: Values, sizes: Sizes, activation: Activation | undefined, round: Round): Float64Array {
  return sumsReference(values, sizes, round).map((sum, i) => round(activate(sum, activation, round) + values.residual[i]));
}

function linearBackwardReference(values: Values, sizes: Sizes, activation: Activation | undefined, round: Round) {
  const slopes = sumsReference(values, sizes, round).map((sum) => activationSlope(sum, activation, round));
  const dsums = slopes.map((slope, i) => round(values.dy[i] * slope));
  const { da, db } = productBackwardReference({ a: values.x, b: values.weight, sizes }, dsums, round);
  return { x: da, weight: db, bias: columnSums(dsums, sizes[3], round), residual: values.dy };
}

test("the reference's gradients are the derivatives of its linear layer", () => {
  const sizes = [1, 3, 4, 2] as const;
  const values = given(sizes);
  for (const activation of [undefined, ...activations]) {
    const gradients = linearBackwardReference(values, sizes, activation, exact);
    for (const name of ["x", "weight", "bias", "residual"] as const) {
      assertDerivative((at) => linearReference({ ...values, [name]: at }, sizes, activation, exact), values[name], values.dy, gradients[name], `${activation} ${name}`);
    }
  }
});

interface CheckOptions {
  variant?: ProductVariant;
  activation?: Activation;
  dtypeX?: Float;
  dtypeW?: Float;
}

async function checkLinear(on: Gpu, sizes: Sizes, { variant, activation, dtypeX = "f32", dtypeW = "f32" }: CheckOptions): Promise<void> {
  const [batches, M, K, N] = sizes;
  const values = given(sizes, dtypeX, dtypeW);
  const tensors = {
    x: upload(on, values.x, [batches, M, K], dtypeX),
    weight: upload(on, values.weight, [K, N], dtypeW),
    bias: upload(on, values.bias, [N], dtypeW),
    residual: upload(on, values.residual, [batches, M, N], dtypeX),
  };
  const dy = upload(on, values.dy, [batches, M, N], dtypeX);
  const actual = await tapeGradients(on, Object.values(tensors), () => linear(tensors.x, { ...tensors, activation, variant }), dy);
  for (const [i, name] of (["x", "weight", "bias", "residual"] as const).entries()) {
    const dtype = name === "x" || name === "residual" ? dtypeX : "f32";
    assertMatches(actual[i], (round) => linearBackwardReference(values, sizes, activation, round)[name], dtype, `${name} of linear [${sizes}] ${activation}`);
  }
  for (const tensor of [dy, ...Object.values(tensors)]) tensor.free();
}

for (const variant of variants) {
  test(`linear backward ${variant} agrees with the reference for every size`, async () => {
    for (const sizes of matmulCases) await checkLinear(gpu, sizes, { variant });
  });

  test(`linear backward ${variant} agrees with the reference for every dtype`, async () => {
    for (const dtypeX of testDtypes(gpu)) {
      for (const dtypeW of testDtypes(gpu)) await checkLinear(gpu, [3, 5, 7, 3], { variant, dtypeX, dtypeW });
      await checkLinear(gpu, [2, 17, 12, 36], { variant, dtypeX });
    }
  });
}

test("linear backward sums many rows in chunks", () => checkLinear(gpu, [2, 523, 5, 8], {}));

test("linear backward goes through every activation", async () => {
  for (const activation of activations) await checkLinear(gpu, [2, 17, 13, 36], { activation });
});

test("linear backward without subgroups and f16", () => checkLinear(plainGpu, [2, 17, 13, 36], { activation: "silu" }));

test("slopes stay finite and reach their limits far out", async () => {
  const x = Float32Array.of(-1e20, -1e4, -200, -30, 30, 200, 1e4, 1e20);
  for (const activation of activations) {
    const slopes = await gpu.scope("test", () => activationBackward(upload(gpu, new Float32Array(8).fill(1), [8]), upload(gpu, x, [8]), activation)).read();
    slopes.forEach((slope, i) => assert.ok(Math.abs(slope - (x[i] > 0 ? 1 : 0)) <= 1e-6, `${activation}'(${x[i]}) is ${slope}`));
  }
});

function gegluReference(values: Values, sizes: Sizes, round: Round): Float64Array {
  const [batches, M, K, N] = sizes;
  const both = sumsReference(values, [batches, M, K, 2 * N], round);
  return Float64Array.from({ length: batches * M * N }, (_, i) => {
    const at = i + Math.floor(i / N) * N;
    return round(both[at] * activate(both[at + N], "gelu", round));
  });
}

function gegluBackwardReference(values: Values, sizes: Sizes, round: Round) {
  const [batches, M, K, N] = sizes;
  const wide = [batches, M, K, 2 * N] as const;
  const both = sumsReference(values, wide, round);
  const dboth = both.map((value, i) => {
    const dy = values.dy[Math.floor(i / (2 * N)) * N + (i % N)];
    return i % (2 * N) < N ? round(dy * activate(both[i + N], "gelu", round)) : round(round(dy * both[i - N]) * activationSlope(value, "gelu", round));
  });
  const { da, db } = productBackwardReference({ a: values.x, b: values.weight, sizes: wide }, dboth, round);
  return { x: da, weight: db, bias: columnSums(dboth, 2 * N, round) };
}

const gegluGiven = ([batches, M, K, N]: Sizes) => ({ ...given([batches, M, K, 2 * N]), dy: randomValues(batches * M * N, 5) });

test("the reference's gradients are the derivatives of its GEGLU", () => {
  const sizes = [1, 3, 4, 2] as const;
  const values = gegluGiven(sizes);
  const gradients = gegluBackwardReference(values, sizes, exact);
  for (const name of ["x", "weight", "bias"] as const) {
    assertDerivative((at) => gegluReference({ ...values, [name]: at }, sizes, exact), values[name], values.dy, gradients[name], name);
  }
});

test("geglu on a tape and its backward pass agree with the reference", async () => {
  for (const sizes of matmulCases) {
    const [batches, M, K, N] = sizes;
    const values = gegluGiven(sizes);
    const tensors = { x: upload(gpu, values.x, [batches, M, K]), weight: upload(gpu, values.weight, [K, 2 * N]), bias: upload(gpu, values.bias, [2 * N]) };
    const dy = upload(gpu, values.dy, [batches, M, N]);
    let y: Tensor | undefined;
    const actual = await tapeGradients(gpu, Object.values(tensors), () => (y = gpu.keep(geglu(tensors.x, tensors))), dy);
    assertMatches(await y!.read(), (round) => gegluReference(values, sizes, round), "f32", `geglu [${sizes}] on a tape`);
    y!.free();
    for (const [i, name] of (["x", "weight", "bias"] as const).entries()) {
      assertMatches(actual[i], (round) => gegluBackwardReference(values, sizes, round)[name], "f32", `${name} of geglu [${sizes}]`);
    }
    for (const tensor of [dy, ...Object.values(tensors)]) tensor.free();
  }
});

test("only wanted gradients are computed", () => {
  gpu.scope("test", () => {
    const [x, weight, dy] = [gpu.empty([5, 3]), gpu.empty([3, 4]), gpu.empty([5, 4])];
    for (const wanted of ["x", "weight", "bias", "residual"]) {
      const wants = { x: false, weight: false, bias: false, residual: false, [wanted]: true };
      const gradients = linearBackward(dy, { x, weight }, wants);
      assert.deepEqual(Object.entries(gradients).filter(([, gradient]) => gradient).map(([name]) => name), [wanted]);
    }
  });
});

test("a frozen weight costs neither a gradient nor the memory of its input", () => {
  const sizes = [1, 64, 32, 32] as const;
  const values = given(sizes);
  const names = ["weight", "x"] as const;
  const saved = names.map((watched) =>
    gpu.scope("test", () => {
      const tensors: Record<(typeof names)[number], Tensor> = { x: upload(gpu, values.x, [64, 32]), weight: upload(gpu, values.weight, [32, 32]) };
      const tape = new Tape(gpu);
      tape.watch([tensors[watched]]);
      tape.run(() => linear(tensors.x, { weight: tensors.weight }));
      const references = names.map((name) => tensors[name].buffer.references);
      tape.free();
      return references;
    }),
  );
  assert.deepEqual(saved, [[1, 2], [2, 1]]);
});

test("gradients through a checkpoint have the same bits", async () => {
  const sizes = [2, 9, 8, 12] as const;
  const values = given(sizes);
  const [x, weight, bias] = [upload(gpu, values.x, [2, 9, 8]), upload(gpu, values.weight, [8, 12]), upload(gpu, values.bias, [12])];
  const dy = upload(gpu, values.dy, [2, 9, 12]);
  const layer = (input: Tensor) => linear(input, { weight, bias, activation: "gelu" });
  const plain = await tapeGradients(gpu, [x, weight, bias], () => layer(x), dy);
  assert.deepEqual(await tapeGradients(gpu, [x, weight, bias], () => checkpoint({ x }, (inputs) => layer(inputs.x)), dy), plain);
  for (const tensor of [x, weight, bias, dy]) tensor.free();
});
