import assert from "node:assert/strict";
import { test } from "node:test";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Activation } from "../src/ops/activation.ts";
import type { Float } from "../src/ops/check.ts";
import { geglu, linear } from "../src/ops/matmul.ts";
import type { ProductVariant } from "../src/ops/tiles.ts";
import { callFragment } from "./fragment.ts";
import { matmulCases } from "./product_cases.ts";
import { activate, erf, productReference } from "./product_reference.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));
const activations = [undefined, "gelu", "gelu_tanh", "quick_gelu", "silu", "relu"] as const;

interface CheckOptions {
  variant?: ProductVariant;
  activation?: Activation;
  extras: boolean;
  dtypeX: Float;
  dtypeW: Float;
}

async function checkLinear(on: Gpu, sizes: (typeof matmulCases)[number], options: CheckOptions): Promise<void> {
  const { variant, activation, extras, dtypeX, dtypeW } = options;
  const [batches, M, K, N] = sizes;
  const x = randomValues(batches * M * K, 1, dtypeX);
  const weight = randomValues(K * N, 2, dtypeW);
  const bias = randomValues(N, 3, dtypeW);
  const residual = randomValues(batches * M * N, 4, dtypeX);
  const y = on.scope("test", () =>
    linear(upload(on, x, [batches, M, K], dtypeX), {
      weight: upload(on, weight, [K, N], dtypeW),
      bias: extras ? upload(on, bias, [N], dtypeW) : undefined,
      residual: extras ? upload(on, residual, [batches, M, N], dtypeX) : undefined,
      activation,
      variant,
    }),
  );
  const actual = await y.read();
  y.free();
  const reference = (round: (value: number) => number) =>
    productReference({ a: x, b: weight, sizes }, round).map((sum, i) =>
      extras ? round(activate(round(sum + bias[i % N]), activation, round) + residual[i]) : activate(sum, activation, round),
    );
  assertMatches(actual, reference, dtypeX, `linear [${sizes}] ${activation}`);
}

async function checkGeglu(on: Gpu, sizes: (typeof matmulCases)[number], variant: ProductVariant | undefined, biased: boolean): Promise<void> {
  const [batches, M, K, N] = sizes;
  const x = randomValues(batches * M * K, 1);
  const weight = randomValues(K * 2 * N, 2);
  const bias = randomValues(2 * N, 3);
  const y = on.scope("test", () =>
    geglu(upload(on, x, [batches, M, K]), { weight: upload(on, weight, [K, 2 * N]), bias: biased ? upload(on, bias, [2 * N]) : undefined, variant }),
  );
  assert.deepEqual(y.shape, [batches, M, N]);
  const actual = await y.read();
  y.free();
  const reference = (round: (value: number) => number) => {
    const both = productReference({ a: x, b: weight, sizes: [batches, M, K, 2 * N] }, round);
    const column = (row: number, n: number) => (biased ? round(both[row * 2 * N + n] + bias[n]) : both[row * 2 * N + n]);
    return Float64Array.from({ length: batches * M * N }, (_, i) => {
      const [row, n] = [Math.floor(i / N), i % N];
      return round(column(row, n) * activate(column(row, N + n), "gelu", round));
    });
  };
  assertMatches(actual, reference, "f32", `geglu [${sizes}]`);
}

for (const variant of variants) {
  test(`linear ${variant} agrees with the reference for every size`, async () => {
    for (const [i, sizes] of matmulCases.entries()) await checkLinear(gpu, sizes, { variant, extras: i % 2 === 0, dtypeX: "f32", dtypeW: "f32" });
  });

  test(`linear ${variant} agrees with the reference for every dtype`, async () => {
    for (const dtypeX of testDtypes(gpu)) {
      for (const dtypeW of testDtypes(gpu)) await checkLinear(gpu, [3, 5, 7, 3], { variant, extras: true, dtypeX, dtypeW });
    }
  });

  test(`linear ${variant} ends with every activation`, async () => {
    for (const activation of activations) await checkLinear(gpu, [2, 17, 13, 36], { variant, activation, extras: true, dtypeX: "f32", dtypeW: "f32" });
  });

  test(`geglu ${variant} agrees with the reference`, async () => {
    for (const [i, sizes] of matmulCases.entries()) await checkGeglu(gpu, sizes, variant, i % 2 === 0);
  });
}

test("without subgroups and f16 the defaults agree as well", async () => {
  await checkLinear(plainGpu, [2, 17, 13, 36], { activation: "silu", extras: true, dtypeX: "f32", dtypeW: "f32" });
  await checkGeglu(plainGpu, [2, 17, 13, 36], undefined, true);
});

/** Values of a function of lib/activations.wgsl at the points `x`. */
async function evaluate(name: string, x: Float32Array): Promise<Float32Array> {
  const source = `//! include lib/activations.wgsl
fn call(i: u32) { output[i] = bitcast<u32>(${name}(bitcast<f32>(input[i]))); }`;
  return new Float32Array((await callFragment(gpu, source, new Uint32Array(x.buffer), x.length, x.length)).buffer, 0, x.length);
}

test("erf is within 2e-7 everywhere", async () => {
  const x = Float32Array.from({ length: 8001 }, (_, i) => (i - 4000) / 500);
  const y = await evaluate("erf", x);
  const worst = y.reduce((error, value, i) => Math.max(error, Math.abs(value - erf(x[i]))), 0);
  assert.ok(worst < 2e-7, `worst error ${worst}`);
});

test("activations stay finite and reach their limits far out", async () => {
  const x = Float32Array.of(-1e20, -1e4, -200, 0, 200, 1e4);
  for (const activation of activations.slice(1)) {
    const y = await evaluate(activation as string, x);
    const limits = [0, 0, 0, 0, 200, 1e4];
    y.forEach((value, i) => assert.ok(Math.abs(value - limits[i]) <= 1e-10, `${activation}(${x[i]}) is ${value}`));
  }
});
