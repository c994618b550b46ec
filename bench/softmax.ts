import { bytesOf } from "../src/ops/check.ts";
import { deviceFacts } from "../src/ops/grid.ts";
import { scale } from "../src/ops/pointwise.ts";
import { planSoftmax, planSoftmaxBackward, softmax, softmaxBackward } from "../src/ops/softmax.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { softmaxBench } from "../shaders-test/norm_cases.ts";
import { benchMain, shapesOf } from "./harness.ts";

await benchMain((gpu) =>
  shapesOf(["rows", "columns"], softmaxBench).flatMap(([rows, columns]) => {
    const x = upload(gpu, randomValues(rows * columns, 1, "f32", 8), [rows, columns]);
    const { flops } = planSoftmax(rows, columns, deviceFacts(gpu));
    const shared = { name: `softmax ${rows}x${columns}`, bytes: 2 * bytesOf(x) };
    const variants = gpu.has("subgroups") ? (["subgroup", "workgroup", "naive"] as const) : (["workgroup", "naive"] as const);
    const dy = upload(gpu, randomValues(rows * columns, 2), [rows, columns]);
    const backward = { name: `softmax backward ${rows}x${columns}`, bytes: 3 * bytesOf(x), flops: planSoftmaxBackward(rows, columns, deviceFacts(gpu)).flops };
    return [
      { ...shared, variant: "copy", flops: 0, run: () => scale(x, 1) },
      ...variants.map((variant) => ({ ...shared, variant, flops, run: () => softmax(x, { variant }) })),
      ...variants.map((variant) => ({ ...backward, variant, run: () => softmaxBackward(dy, x, { variant }) })),
    ];
  }),
);
