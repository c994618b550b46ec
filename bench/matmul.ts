import { bytesOf } from "../src/ops/check.ts";
import { geglu, linear } from "../src/ops/matmul.ts";
import { productBench } from "../shaders-test/product_cases.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { benchMain, shapesOf } from "./harness.ts";

/** The family's own, or those that were asked for, with f32 weights. */
function products(): typeof productBench {
  const own = productBench.map(([, [, M, K, N]]) => [M, K, N] as const);
  const asked = shapesOf(["M", "K", "N"], own);
  return asked === own ? productBench : asked.map(([M, K, N]) => [`linear ${M}x${K} to ${N}`, [1, M, K, N], "f32"]);
}

await benchMain((gpu) => {
  const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));
  return products().flatMap(([name, [batches, M, K, N], dtype]) => {
    if (dtype === "f16" && !gpu.has("shader-f16")) return [];
    const x = upload(gpu, randomValues(batches * M * K, 1), [batches, M, K]);
    const weight = upload(gpu, randomValues(K * N, 2, dtype), [K, N], dtype);
    const plain = variants.map((variant) => ({
      name,
      variant,
      flops: 2 * batches * M * N * K,
      bytes: bytesOf(x, weight) + 4 * batches * M * N,
      run: () => linear(x, { weight, variant }),
    }));
    // The same weights read as [K, 2 N / 2]: half the columns of output, all of the products.
    const gated = variants.map((variant) => ({ ...plain[0], name: `${name}, gated`, variant, run: () => geglu(x, { weight, variant }) }));
    return N === 1280 ? [...plain, ...gated] : plain;
  });
});
