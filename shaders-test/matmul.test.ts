import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import { matmul, planMatmul } from "../src/ops/matmul.ts";
import { type ProductVariant, productVariants } from "../src/ops/tiles.ts";
import { matmulCases } from "./product_cases.ts";
import { productReference } from "./product_reference.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));

/** Rows of one column that a workgroup computes. */
const rowsAWorkgroup = { subgroup: 64, vector: 128, tiled: 64, naive: 64 };

interface CheckOptions {
  variant?: ProductVariant;
  batchedB: boolean;
  transposeB: boolean;
  dtypeA: Float;
  dtypeB: Float;
}

async function checkMatmul(on: Gpu, sizes: (typeof matmulCases)[number], options: CheckOptions): Promise<void> {
  const { variant, batchedB, transposeB, dtypeA, dtypeB } = options;
  const [batches, M, K, N] = sizes;
  const a = randomValues(batches * M * K, 1, dtypeA);
  const b = randomValues((batchedB ? batches : 1) * K * N, 2, dtypeB);
  const matrix = transposeB ? [N, K] : [K, N];
  const c = on.scope("test", () =>
    matmul(upload(on, a, [batches, M, K], dtypeA), upload(on, b, batchedB ? [batches, ...matrix] : matrix, dtypeB), { transposeB, scale: 0.3, variant }),
  );
  assert.deepEqual(c.shape, [batches, M, N]);
  const actual = await c.read();
  c.free();
  assertMatches(actual, (round) => productReference({ a, b, sizes, batchedB, transposeB, scale: round(0.3) }, round), dtypeA, "matmul");
}

for (const variant of variants) {
  test(`matmul ${variant} agrees with the reference for every size and layout`, async () => {
    for (const sizes of matmulCases) {
      for (const transposeB of [false, true]) {
        for (const batchedB of [false, true]) await checkMatmul(gpu, sizes, { variant, batchedB, transposeB, dtypeA: "f32", dtypeB: "f32" });
      }
    }
  });

  test(`matmul ${variant} agrees with the reference for every dtype`, async () => {
    for (const dtypeA of testDtypes(gpu)) {
      for (const dtypeB of testDtypes(gpu)) {
        for (const transposeB of [false, true]) await checkMatmul(gpu, [2, 17, 13, 36], { variant, batchedB: true, transposeB, dtypeA, dtypeB });
      }
    }
  });

  test(`matmul ${variant} folds grids past 65,535 workgroups`, async () => {
    const M = rowsAWorkgroup[variant] * 65_537;
    const a = randomValues(M, 1);
    const b = Float32Array.of(0.7);
    const c = gpu.scope("test", () => matmul(upload(gpu, a, [M, 1]), upload(gpu, b, [1, 1]), { variant }));
    const actual = await c.read();
    c.free();
    gpu.trim();
    assert.equal(actual.findIndex((value, i) => value !== Math.fround(a[i] * b[0])), -1);
  });

  test(`matmul ${variant} gives an item the same bits alone, in a batch, and in a tile of another shape`, async () => {
    const [batches, M, K, N] = [5, 20, 37, 24];
    const a = randomValues(batches * M * K, 1);
    const b = upload(gpu, randomValues(K * N, 2), [K, N]);
    const rows = async (start: number, end: number, shape: number[]) => {
      const c = gpu.scope("test", () => matmul(upload(gpu, a.slice(start * K, end * K), shape), b, { variant }));
      return Array.from(await c.read());
    };
    const whole = await rows(0, batches * M, [batches, M, K]);
    assert.deepEqual(await rows(M, 2 * M, [1, M, K]), whole.slice(M * N, 2 * M * N));
    assert.deepEqual(await rows(M, M + 3, [1, 3, K]), whole.slice(M * N, (M + 3) * N));
  });
}

test("without subgroups and f16 the default agrees as well", async () => {
  for (const transposeB of [false, true]) {
    await checkMatmul(plainGpu, [2, 67, 19, 12], { batchedB: true, transposeB, dtypeA: "f32", dtypeB: "f32" });
  }
});

test("the plan follows the device and one item, not the batch", () => {
  const lavapipe = { software: true, subgroupLanes: 8 };
  assert.equal(productVariants(lavapipe, 64)[0], "subgroup");
  assert.equal(productVariants(lavapipe, 8)[0], "vector");
  assert.equal(productVariants({ software: true, subgroupLanes: 0 }, 64)[0], "vector");
  assert.equal(productVariants({ software: false, subgroupLanes: 32 }, 64)[0], "tiled");
  const columns = (subgroupLanes: number) => planMatmul("matmul", { batches: 1, M: 64, N: 64, K: 64, itemRows: 64 }, false, { software: true, subgroupLanes }).overrides.COLUMNS;
  assert.deepEqual([4, 8, 16].map(columns), [4, 8, 8]);
  for (const variant of ["subgroup", "vector", "tiled"] as const) {
    for (const [itemRows, N] of [[1, 320], [7, 64], [64, 64], [256, 4], [4096, 1280]]) {
      const plan = (batch: number) => planMatmul("matmul", { batches: 1, M: batch * itemRows, N, K: 64, itemRows }, false, lavapipe, variant);
      assert.deepEqual(plan(50).overrides, plan(1).overrides);
      assert.ok(plan(50).grid >= plan(1).grid);
    }
  }
});

test("shapes that do not fit are refused", () => {
  const tensor = (...shape: number[]) => gpu.empty(shape);
  gpu.scope("layer", () => {
    assert.throws(() => matmul(tensor(2, 3), tensor(4, 5)), (error: Error) => error instanceof ShapeError && /K differs.*\(layer\)/.test(error.message));
    assert.throws(() => matmul(tensor(2, 3), tensor(3, 5), { transposeB: true }), /K differs/);
    assert.throws(() => matmul(tensor(2, 4, 3), tensor(3, 3, 5)), /b is \[3,3,5\], needs \[2,3,5\]/);
    assert.throws(() => matmul(tensor(3), tensor(3, 5)), /takes matrices/);
  });
});
