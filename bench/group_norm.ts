import { bytesOf } from "../src/ops/check.ts";
import { groupNorm } from "../src/ops/norm.ts";
import { groupNormBackward } from "../src/ops/norm_backward.ts";
import { scale } from "../src/ops/pointwise.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { groupNormBench } from "../shaders-test/norm_cases.ts";
import { benchMain, shapesOf, together } from "./harness.ts";

await benchMain((gpu) =>
  shapesOf(["batches", "positions", "channels", "groups"], groupNormBench.map(({ batches, positions, c1, groups }) => [batches, positions, c1, groups])).flatMap(([batches, positions, c1, groups]) => {
    const x = upload(gpu, randomValues(batches * positions * c1, 1), [batches, positions, c1]);
    const weight = upload(gpu, randomValues(c1, 2), [c1]);
    const bias = upload(gpu, randomValues(c1, 3), [c1]);
    const shared = { name: `group norm + SiLU ${batches}x${positions}x${c1}`, bytes: 2 * bytesOf(x) };
    // The backward pass moves three tensors of x's size; its statistics may be any numbers.
    const [dy, statistics] = [upload(gpu, randomValues(x.size, 4), x.shape), upload(gpu, randomValues(2 * batches * groups, 5), [batches, groups, 2])];
    const backward = { name: `group norm + SiLU backward ${batches}x${positions}x${c1}`, bytes: 3 * bytesOf(x), flops: 30 * x.size };
    const gradients = (parameters: boolean, naive: boolean) =>
      together(Object.values(groupNormBackward(dy, { x, weight, bias, statistics }, { x: true, skip: false, weight: parameters, bias: parameters }, { silu: true, naive })));
    return [
      { ...shared, variant: "copy", flops: 0, run: () => scale(x, 1) },
      ...(["serial", "workgroup", "naive"] as const).map((variant) => ({
        ...shared,
        variant,
        flops: 12 * x.size,
        run: () => groupNorm(x, { weight, bias, groups, eps: 1e-5, silu: true, variant }),
      })),
      { ...backward, variant: "dx", run: () => gradients(false, false) },
      { ...backward, variant: "all", run: () => gradients(true, false) },
      { ...backward, variant: "naive, all", run: () => gradients(true, true) },
    ];
  }),
);
