import { layerNorm, planLayerNorm } from "../src/ops/norm.ts";
import { bytesOf } from "../src/ops/check.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { layerNormBench } from "../shaders-test/norm_cases.ts";
import { benchMain } from "./harness.ts";

await benchMain((gpu) =>
  layerNormBench.flatMap(([rows, channels]) =>
    (["rows", "naive"] as const).map((variant) => {
      const x = upload(gpu, randomValues(rows * channels, 1), [rows, channels]);
      const weight = upload(gpu, randomValues(channels, 2), [channels]);
      const bias = upload(gpu, randomValues(channels, 3), [channels]);
      return {
        name: `layer norm ${rows}x${channels}`,
        variant,
        flops: planLayerNorm(rows, channels).flops,
        bytes: 2 * bytesOf(x),
        run: () => layerNorm(x, { weight, bias, eps: 1e-5, variant }),
      };
    }),
  ),
);
