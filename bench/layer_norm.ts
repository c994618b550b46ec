import { bytesOf } from "../src/ops/check.ts";
import { type RowVariant, deviceFacts } from "../src/ops/grid.ts";
import { layerNorm, planLayerNorm } from "../src/ops/norm.ts";
import { layerNormBackward, planLayerNormBackward } from "../src/ops/norm_backward.ts";
import { scale } from "../src/ops/pointwise.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { layerNormBench } from "../shaders-test/norm_cases.ts";
import { benchMain, shapesOf, together } from "./harness.ts";

await benchMain((gpu) =>
  shapesOf(["rows", "channels"], layerNormBench).flatMap(([rows, channels]) => {
    const x = upload(gpu, randomValues(rows * channels, 1), [rows, channels]);
    const weight = upload(gpu, randomValues(channels, 2), [channels]);
    const bias = upload(gpu, randomValues(channels, 3), [channels]);
    const { flops } = planLayerNorm(rows, channels, deviceFacts(gpu));
    const shared = { name: `layer norm ${rows}x${channels}`, bytes: 2 * bytesOf(x) };
    const variants = gpu.has("subgroups") ? (["subgroup", "workgroup", "naive"] as const) : (["workgroup", "naive"] as const);
    // The backward pass moves three tensors of x's size; its statistics may be any numbers.
    const [dy, statistics] = [upload(gpu, randomValues(rows * channels, 4), [rows, channels]), upload(gpu, randomValues(2 * rows, 5), [rows, 2])];
    const backward = { name: `layer norm backward ${rows}x${channels}`, bytes: 3 * bytesOf(x), flops: planLayerNormBackward(rows, channels, deviceFacts(gpu)).flops };
    const gradients = (parameters: boolean, variant: RowVariant) =>
      together(Object.values(layerNormBackward(dy, { x, weight, statistics }, { x: true, weight: parameters, bias: parameters }, { variant })));
    return [
      { ...shared, variant: "copy", flops: 0, run: () => scale(x, 1) },
      ...variants.map((variant) => ({ ...shared, variant, flops, run: () => layerNorm(x, { weight, bias, eps: 1e-5, variant }) })),
      ...variants.map((variant) => ({ ...backward, variant: `${variant}, dx`, run: () => gradients(false, variant) })),
      ...variants.map((variant) => ({ ...backward, variant: `${variant}, all`, run: () => gradients(true, variant) })),
    ];
  }),
);
