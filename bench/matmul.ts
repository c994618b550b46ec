import { bytesOf } from "../src/ops/check.ts";
import { geglu, linear } from "../src/ops/matmul.ts";
import { productBench } from "../shaders-test/product_cases.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { benchMain } from "./harness.ts";

await benchMain((gpu) => {
  const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));
  return productBench.flatMap(([name, [batches, M, K, N], dtype]) => {
    if (dtype === "f16" && !gpu.has("shader-f16")) return [];
    const x = upload(gpu, randomValues(batches * M * K, 1), [batches, M, K]);
    const weight = upload(gpu, randomValues(K * N, 2, dtype), [K, N], dtype);
    const products = variants.map((variant) => ({
      name,
      variant,
      flops: 2 * batches * M * N * K,
      bytes: bytesOf(x, weight) + 4 * batches * M * N,
      run: () => linear(x, { weight, variant }),
    }));
    // The same weights read as [K, 2 N / 2]: half the columns of output, all of the products.
    const gated = variants.map((variant) => ({ ...products[0], name: `${name}, gated`, variant, run: () => geglu(x, { weight, variant }) }));
    return N === 1280 ? [...products, ...gated] : products;
  });
});
