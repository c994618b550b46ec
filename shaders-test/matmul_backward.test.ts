import assert from "node:assert/strict";
import { test } from "node:test";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import { type MatmulOptions, matmul } from "../src/ops/matmul.ts";
import { planWeightGradient, transposedProduct } from "../src/ops/weight_gradient.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";
import { productBackwardReference } from "./product_backward_reference.ts";
import { matmulCases } from "./product_cases.ts";
import { type ProductInputs, productReference } from "./product_reference.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));

interface CheckOptions extends MatmulOptions {
  batchedB?: boolean;
  dtypeA?: Float;
  dtypeB?: Float;
}

type Sizes = (typeof matmulCases)[number];

const given = ([batches, M, K, N]: Sizes, { batchedB, dtypeA, dtypeB }: CheckOptions) => ({
  a: randomValues(batches * M * K, 1, dtypeA),
  b: randomValues((batchedB ? batches : 1) * K * N, 2, dtypeB),
  dc: randomValues(batches * M * N, 3, dtypeA),
});

test("the reference's gradients are the derivatives of its product", () => {
  const sizes = [2, 3, 4, 5] as const;
  for (const transposeB of [false, true]) {
    for (const batchedB of [false, true]) {
      const { a, b, dc } = given(sizes, { batchedB });
      const inputs: ProductInputs = { a, b, sizes, batchedB, transposeB, scale: 0.3 };
      const { da, db } = productBackwardReference(inputs, dc, (value) => value);
      assertDerivative((at) => productReference({ ...inputs, a: at }, (value) => value), a, dc, da, "a");
      assertDerivative((at) => productReference({ ...inputs, b: at }, (value) => value), b, dc, db, "b");
    }
  }
});

async function checkMatmul(on: Gpu, sizes: Sizes, options: CheckOptions): Promise<void> {
  const { batchedB = false, dtypeA = "f32", dtypeB = "f32", transposeB = false } = options;
  const [batches, M, K, N] = sizes;
  const values = given(sizes, options);
  const a = upload(on, values.a, [batches, M, K], dtypeA);
  const b = upload(on, values.b, [...(batchedB ? [batches] : []), ...(transposeB ? [N, K] : [K, N])], dtypeB);
  const dc = upload(on, values.dc, [batches, M, N], dtypeA);
  const [da, db] = await tapeGradients(on, [a, b], () => matmul(a, b, options), dc);
  const inputs: ProductInputs = { a: values.a, b: values.b, sizes, batchedB, transposeB, scale: options.scale };
  const what = `matmul [${sizes}] ${JSON.stringify(options)}`;
  assertMatches(da, (round) => productBackwardReference(inputs, values.dc, round).da, dtypeA, `a of ${what}`);
  assertMatches(db, (round) => productBackwardReference(inputs, values.dc, round).db, dtypeB, `b of ${what}`);
  for (const tensor of [a, b, dc]) tensor.free();
}

for (const variant of variants) {
  test(`matmul backward ${variant} agrees with the reference for every size`, async () => {
    for (const [i, sizes] of matmulCases.entries()) await checkMatmul(gpu, sizes, { variant, batchedB: i % 2 === 0, transposeB: i % 3 === 0, scale: 0.3 });
  });

  test(`matmul backward ${variant} of every dtype and layout`, async () => {
    for (const dtypeA of testDtypes(gpu)) {
      for (const dtypeB of testDtypes(gpu)) await checkMatmul(gpu, [3, 5, 8, 12], { variant, dtypeA, dtypeB, batchedB: true });
    }
    for (const transposeB of [false, true]) {
      for (const batchedB of [false, true]) await checkMatmul(gpu, [2, 17, 13, 36], { variant, transposeB, batchedB });
    }
  });
}

test("matmul backward without subgroups and f16", () => checkMatmul(plainGpu, [2, 17, 13, 36], { batchedB: true }));

test("chunks cover all positions, one at least, and follow the kind of device alone", () => {
  for (const software of [false, true]) {
    for (const [items, positions, K, N] of [[1, 1, 1, 1], [1, 100_000, 3, 5], [7, 63, 64, 64], [1, 65, 16, 16], [1, 2560, 640, 640]]) {
      const { chunk, chunks, grid } = planWeightGradient(transposedProduct(items, positions, K, N), { software, subgroupLanes: 0 }, software ? "vector" : "tiled");
      assert.ok(chunk >= Math.min(64, positions) / 2 && chunk * chunks >= positions && chunk * (chunks - 1) < positions, `${positions} in ${chunks} of ${chunk}`);
      assert.equal(grid % chunks, 0);
    }
  }
});
