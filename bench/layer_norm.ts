import { bytesOf } from "../src/ops/check.ts";
import { deviceFacts } from "../src/ops/grid.ts";
import { layerNorm, planLayerNorm } from "../src/ops/norm.ts";
import { scale } from "../src/ops/pointwise.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { layerNormBench } from "../shaders-test/norm_cases.ts";
import { benchMain } from "./harness.ts";

await benchMain((gpu) =>
  layerNormBench.flatMap(([rows, channels]) => {
    const x = upload(gpu, randomValues(rows * channels, 1), [rows, channels]);
    const weight = upload(gpu, randomValues(channels, 2), [channels]);
    const bias = upload(gpu, randomValues(channels, 3), [channels]);
    const { flops } = planLayerNorm(rows, channels, deviceFacts(gpu));
    const shared = { name: `layer norm ${rows}x${channels}`, bytes: 2 * bytesOf(x) };
    const variants = gpu.has("subgroups") ? (["subgroup", "workgroup", "naive"] as const) : (["workgroup", "naive"] as const);
    return [
      { ...shared, variant: "copy", flops: 0, run: () => scale(x, 1) },
      ...variants.map((variant) => ({ ...shared, variant, flops, run: () => layerNorm(x, { weight, bias, eps: 1e-5, variant }) })),
    ];
  }),
);
