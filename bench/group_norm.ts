import { bytesOf } from "../src/ops/check.ts";
import { groupNorm } from "../src/ops/norm.ts";
import { scale } from "../src/ops/pointwise.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { groupNormBench } from "../shaders-test/norm_cases.ts";
import { benchMain } from "./harness.ts";

await benchMain((gpu) =>
  groupNormBench.flatMap(({ batches, positions, c1, groups }) => {
    const x = upload(gpu, randomValues(batches * positions * c1, 1), [batches, positions, c1]);
    const weight = upload(gpu, randomValues(c1, 2), [c1]);
    const bias = upload(gpu, randomValues(c1, 3), [c1]);
    const shared = { name: `group norm + SiLU ${batches}x${positions}x${c1}`, bytes: 2 * bytesOf(x) };
    return [
      { ...shared, variant: "copy", flops: 0, run: () => scale(x, 1) },
      ...(["serial", "workgroup", "naive"] as const).map((variant) => ({
        ...shared,
        variant,
        flops: 12 * x.size,
        run: () => groupNorm(x, { weight, bias, groups, eps: 1e-5, silu: true, variant }),
      })),
    ];
  }),
);
