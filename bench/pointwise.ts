import { addInto } from "../src/ops/accumulate.ts";
import { bytesOf } from "../src/ops/check.ts";
import { add, scale, silu, siluBackward } from "../src/ops/pointwise.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { benchMain, shapesOf, together } from "./harness.ts";

/** Elements: the widest activation of SD 1.5, and the same with one more, which leaves no quads. */
const sizes = [[4096 * 320], [4096 * 320 + 1]] as const;

await benchMain((gpu) =>
  shapesOf(["elements"], sizes).flatMap(([size]) => {
    const [x, dy, start] = [1, 2, 3].map((seed) => upload(gpu, randomValues(size, seed), [size]));
    const sum = scale(start, 1);
    const shared = { name: `${size} elements`, flops: size };
    const moved = (tensors: number) => tensors * bytesOf(x);
    return [
      { ...shared, variant: "copy", bytes: moved(2), run: () => scale(x, 1) },
      { ...shared, variant: "silu", bytes: moved(2), run: () => silu(x) },
      { ...shared, variant: "silu backward", bytes: moved(3), run: () => siluBackward(dy, x) },
      { ...shared, variant: "add", bytes: moved(3), run: () => add(x, dy) },
      { ...shared, variant: "add into", bytes: moved(3), run: () => (addInto(sum, x), together([])), runAfresh: () => addInto(scale(start, 1), x) },
    ];
  }),
);
