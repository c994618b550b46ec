import { bytesOf } from "../src/ops/check.ts";
import { conv2d } from "../src/ops/conv.ts";
import { type ConvCase, convBench } from "../shaders-test/product_cases.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { benchMain, shapesOf } from "./harness.ts";

/** The family's own, or those that were asked for: all 3x3. */
function convolutions(): readonly ConvCase[] {
  const own = convBench.map(({ batches, height, width, c1, cOut }) => [batches, height, width, c1, cOut] as const);
  return shapesOf(["batches", "height", "width", "channels in", "channels out"], own).map(([batches, height, width, c1, cOut]) => ({ ...convBench[0], batches, height, width, c1, cOut }));
}

await benchMain((gpu) => {
  const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));
  return convolutions().flatMap(({ batches, height, width, c1, cOut, kernel, padding }) => {
    const x = upload(gpu, randomValues(batches * height * width * c1, 1), [batches, height, width, c1]);
    const weight = upload(gpu, randomValues(kernel[0] * kernel[1] * c1 * cOut, 2), [...kernel, c1, cOut]);
    const bias = upload(gpu, randomValues(cOut, 3), [cOut]);
    const outputs = batches * height * width * cOut;
    return variants.map((variant) => ({
      name: `conv ${kernel.join("x")} ${batches}x${height}x${width}, ${c1} to ${cOut}`,
      variant,
      flops: 2 * outputs * kernel[0] * kernel[1] * c1,
      bytes: bytesOf(x, weight, bias) + 4 * outputs,
      run: () => conv2d(x, { weight, bias, padding, variant }),
    }));
  });
});
