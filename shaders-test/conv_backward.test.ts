import assert from "node:assert/strict";
import { test } from "node:test";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import { conv2d, conv2dBackward } from "../src/ops/conv.ts";
import { linear } from "../src/ops/matmul.ts";
import type { ProductVariant } from "../src/ops/tiles.ts";
import type { Tensor } from "../src/tensor.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";
import { activationSlope, columnSums, convBackwardReference, productBackwardReference } from "./product_backward_reference.ts";
import { type ConvCase, convCases } from "./product_cases.ts";
import { activate, convReference, convSides, productReference } from "./product_reference.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));
const exact = (value: number) => value;

/** Beside the cases of the forward pass: strides, paddings and channels whose gradients take ways of their own. */
const backwardCases: readonly ConvCase[] = [
  ...convCases,
  { ...convCases[0], stride: 2 },
  { ...convCases[5], kernel: [1, 1], padding: [0, 0, 0, 0] },
  { ...convCases[5], kernel: [1, 1], padding: [1, 0, 0, 1], c1: 4, c2: 4 },
  { ...convCases[5], kernel: [4, 3], padding: [0, 3, 4, 1], c1: 3, c2: 5, cOut: 6 },
  { ...convCases[8], batches: 2, kernel: [2, 3], padding: [0, 1, 1, 2], stride: 2 },
];

function convValues(shape: ConvCase, dtypeX: Float, dtypeW: Float) {
  const { batches, height, width, c1, c2, cOut, kernel } = shape;
  const outputs = batches * convSides(shape)[0] * convSides(shape)[1] * cOut;
  return {
    x: randomValues(batches * height * width * c1, 1, dtypeX),
    skip: randomValues(batches * height * width * c2, 2, dtypeX),
    weight: randomValues(kernel[0] * kernel[1] * (c1 + c2) * cOut, 3, dtypeW),
    bias: randomValues(cOut, 4, dtypeW),
    shift: randomValues(batches * cOut, 5, dtypeX),
    residual: randomValues(outputs, 6, dtypeX),
    dy: randomValues(outputs, 7, dtypeX),
  };
}

type Values = { [name in keyof ReturnType<typeof convValues>]: ArrayLike<number> };
type Name = Exclude<keyof Values, "dy">;

/** conv(x) + bias + shift: what the activation gets. */
function sumsReference(values: Values, shape: ConvCase, round: Round): Float64Array {
  const perSample = values.dy.length / shape.batches;
  return convReference(values, shape, round).map((sum, i) => {
    const n = i % shape.cOut;
    return round(round(sum + values.bias[n]) + values.shift[Math.floor(i / perSample) * shape.cOut + n]);
  });
}

function forwardReference(values: Values, shape: ConvCase, round: Round): Float64Array {
  return sumsReference(values, shape, round).map((sum, i) => round(activate(sum, "silu", round) + values.residual[i]));
}

function backwardReference(values: Values, shape: ConvCase, silu: boolean, round: Round): { [name in Name]: ArrayLike<number> } {
  const { batches, cOut } = shape;
  const dsums = silu ? sumsReference(values, shape, round).map((sum, i) => round(values.dy[i] * activationSlope(sum, "silu", round))) : Float64Array.from(values.dy);
  const { dx, dskip, dweight } = convBackwardReference(values, shape, dsums, round);
  const perSample = dsums.length / batches;
  const shift = Float64Array.from({ length: batches }, (_, i) => i).reduce<number[]>((all, i) => [...all, ...columnSums(dsums.subarray(i * perSample, (i + 1) * perSample), cOut, round)], []);
  return { x: dx, skip: dskip, weight: dweight, bias: columnSums(dsums, cOut, round), shift, residual: values.dy };
}

test("the reference's gradients are the derivatives of its convolution", () => {
  const small = { batches: 2, c1: 2, cOut: 2, height: 3, width: 4 };
  for (const shape of [{ ...convCases[6], ...small, c2: 1 }, { ...convCases[4], ...small }, { ...convCases[9], ...small, c2: 1 }]) {
    const values = convValues(shape, "f32", "f32");
    const gradients = backwardReference(values, shape, true, exact);
    for (const name of ["x", "skip", "weight", "bias", "shift", "residual"] as const) {
      assertDerivative((at) => forwardReference({ ...values, [name]: at }, shape, exact), values[name], values.dy, gradients[name], name);
    }
  }
});

interface CheckOptions {
  variant?: ProductVariant;
  /** With bias, shift, SiLU and residual, or with none of them. */
  extras: boolean;
  dtypeX?: Float;
  dtypeW?: Float;
}

function uploadAll(on: Gpu, shape: ConvCase, values: ReturnType<typeof convValues>, { extras, dtypeX = "f32", dtypeW = "f32" }: CheckOptions) {
  const { batches, height, width, c1, c2, cOut, kernel } = shape;
  const outputs = [batches, ...convSides(shape), cOut];
  const tensors: { x: Tensor; weight: Tensor } & { [name in Name]?: Tensor } = {
    x: upload(on, values.x, [batches, height, width, c1], dtypeX),
    weight: upload(on, values.weight, [...kernel, c1 + c2, cOut], dtypeW),
  };
  if (c2 > 0) tensors.skip = upload(on, values.skip, [batches, height, width, c2], dtypeX);
  if (extras) {
    tensors.bias = upload(on, values.bias, [cOut], dtypeW);
    tensors.shift = upload(on, values.shift, [batches, cOut], dtypeX);
    tensors.residual = upload(on, values.residual, outputs, dtypeX);
  }
  return { tensors, dy: upload(on, values.dy, outputs, dtypeX) };
}

async function checkConv(on: Gpu, shape: ConvCase, options: CheckOptions): Promise<void> {
  const { variant, extras, dtypeX = "f32", dtypeW = "f32" } = options;
  const { stride, padding, upsample } = shape;
  const values = convValues(shape, dtypeX, dtypeW);
  const { tensors, dy } = uploadAll(on, shape, values, options);
  const names = Object.keys(tensors) as Name[];
  // f16 stores the sums before the activation: tested in f32, where that costs nothing.
  const silu = extras && dtypeX === "f32";
  const op = () => conv2d(tensors.x, { ...tensors, stride, padding, upsample, variant, activation: silu ? "silu" : undefined });
  const actual = await tapeGradients(on, names.map((name) => tensors[name] as Tensor), op, dy);
  for (const [i, name] of names.entries()) {
    const reference = (round: Round) => backwardReference(extras ? values : { ...values, bias: values.bias.map(() => 0), shift: values.shift.map(() => 0) }, shape, silu, round)[name];
    assertMatches(actual[i], reference, name === "weight" || name === "bias" ? "f32" : dtypeX, `${name} of conv2d ${JSON.stringify(shape)}`);
  }
  for (const tensor of [dy, ...Object.values(tensors)]) tensor.free();
}

for (const variant of variants) {
  test(`conv2d backward ${variant} agrees with the reference for its shapes`, async () => {
    // The convolutions of dy are those of the forward pass: their slower designs need not meet every shape again.
    const some = variant === "vector" || variant === "tiled";
    for (const [i, shape] of backwardCases.entries()) if (!some || i % 3 === 0) await checkConv(gpu, shape, { variant, extras: i % 2 === 0 });
  });

  test(`conv2d backward ${variant} agrees with the reference for every dtype`, async () => {
    for (const dtypeX of testDtypes(gpu)) {
      for (const dtypeW of testDtypes(gpu)) await checkConv(gpu, convCases[6], { variant, extras: true, dtypeX, dtypeW });
    }
  });
}

test("conv2d backward of every option together", async () => {
  for (const shape of [convCases[5], convCases[7], convCases[9]]) await checkConv(gpu, shape, { extras: true });
});

test("conv2d backward without subgroups and f16", async () => {
  for (const shape of convCases.slice(0, 4)) await checkConv(plainGpu, shape, { extras: true });
});

test("conv2d backward gives the same bits every time", async () => {
  const shape: ConvCase = { ...convCases[1], height: 17, width: 19 };
  const values = convValues(shape, "f32", "f32");
  const { tensors, dy } = uploadAll(gpu, shape, values, { extras: false });
  const run = () => tapeGradients(gpu, [tensors.x, tensors.weight], () => conv2d(tensors.x, { ...tensors, padding: shape.padding }), dy);
  assert.deepEqual(await run(), await run());
  for (const tensor of [dy, ...Object.values(tensors)]) tensor.free();
});

test("only wanted gradients are computed", () => {
  gpu.scope("test", () => {
    const shape = { batches: 2, height: 5, width: 7, c1: 4, c2: 4, out_height: 3, out_width: 4, c_out: 8, kernel: [3, 3], padding: [1, 1], stride: 2 } as const;
    const [x, skip, weight, dy] = [gpu.empty([2, 5, 7, 4]), gpu.empty([2, 5, 7, 4]), gpu.empty([3, 3, 8, 8]), gpu.empty([2, 3, 4, 8])];
    for (const wanted of ["x", "skip", "weight", "bias", "shift", "residual"]) {
      const wants = { x: false, skip: false, weight: false, bias: false, shift: false, residual: false, [wanted]: true };
      const gradients = conv2dBackward(dy, { x, skip, weight }, wants, { shape, upsample: false });
      assert.deepEqual(Object.entries(gradients).filter(([, gradient]) => gradient).map(([name]) => name), [wanted]);
    }
  });
});

/** A net of two convolutions and a linear layer over each pixel, in plain loops: its gradients by their names. */
function netReference(values: Record<"x" | "first" | "second" | "last" | "dy", ArrayLike<number>>, round: Round) {
  const shape1: ConvCase = { ...convCases[0], batches: 2, height: 3, width: 4, c1: 4, cOut: 5 };
  const shape2: ConvCase = { ...shape1, c1: 5, cOut: 8, stride: 2 };
  const sizes = [2, 4, 8, 4] as const;
  const none = new Float32Array(0);
  const conv1 = { x: values.x, skip: none, weight: values.first };
  const sums1 = convReference(conv1, shape1, round);
  const conv2 = { x: sums1.map((sum) => activate(sum, "silu", round)), skip: none, weight: values.second };
  const y2 = convReference(conv2, shape2, round);
  const { da, db } = productBackwardReference({ a: y2, b: values.last, sizes }, values.dy, round);
  const second = convBackwardReference(conv2, shape2, da, round);
  const dsums1 = second.dx.map((value, i) => round(value * activationSlope(sums1[i], "silu", round)));
  const first = convBackwardReference(conv1, shape1, dsums1, round);
  return { y: productReference({ a: y2, b: values.last, sizes }, round), x: first.dx, first: first.dweight, second: second.dweight, last: db };
}

test("a net of two convolutions and a linear layer agrees with the reference through the tape", async () => {
  const values = {
    x: randomValues(2 * 3 * 4 * 4, 1),
    first: randomValues(9 * 4 * 5, 2),
    second: randomValues(9 * 5 * 8, 3),
    last: randomValues(8 * 4, 4),
    dy: randomValues(2 * 4 * 4, 5),
  };
  for (const name of ["x", "first", "second", "last"] as const) {
    assertDerivative((at) => netReference({ ...values, [name]: at }, exact).y, values[name], values.dy, netReference(values, exact)[name], name);
  }
  const shapes = { x: [2, 3, 4, 4], first: [3, 3, 4, 5], second: [3, 3, 5, 8], last: [8, 4] };
  const names = ["x", "first", "second", "last"] as const;
  const [x, first, second, last] = names.map((name) => upload(gpu, values[name], shapes[name]));
  const dy = upload(gpu, values.dy, [2, 2, 2, 4]);
  const padding = [1, 1, 1, 1] as const;
  const net = () => linear(conv2d(conv2d(x, { weight: first, padding, activation: "silu" }), { weight: second, padding, stride: 2 }), { weight: last });
  const actual = await tapeGradients(gpu, [x, first, second, last], net, dy);
  for (const [i, name] of names.entries()) assertMatches(actual[i], (round) => netReference(values, round)[name], "f32", name);
  for (const tensor of [x, first, second, last, dy]) tensor.free();
});
