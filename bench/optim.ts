import { bytesOf } from "../src/ops/check.ts";
import { embeddingBackward } from "../src/ops/embed.ts";
import { adamW, optimizerState, startStep, sumOfSquares } from "../src/ops/optim.ts";
import { scale } from "../src/ops/pointwise.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { benchMain, together } from "./harness.ts";

/** Weights: the convolution 320 to 320 of SD 1.5, and one more, which leaves no quads. */
const sizes = [9 * 320 * 320, 9 * 320 * 320 + 1];
const [vocabulary, channels, tokens] = [30_522, 64, 32 * 77];

await benchMain((gpu) => {
  const betas = [0.9, 0.999] as const;
  const state = optimizerState(gpu);
  const rates = upload(gpu, Float32Array.of(1e-4, 1e-4), [2]);
  const ids = gpu.tensor(Uint32Array.from(randomValues(tokens, 1), (value) => Math.floor(((value + 1) / 2) * 5000)), [tokens]);
  const dy = upload(gpu, randomValues(tokens * channels, 2), [tokens, channels]);
  startStep(state, [dy], { betas });
  const options = { state, rates, betas, eps: 1e-8, weightDecay: 1e-2 };
  return [
    {
      name: `embedding backward of ${tokens} ids`,
      variant: `${vocabulary}x${channels}`,
      flops: dy.size,
      bytes: bytesOf(dy) + 4 * vocabulary * channels,
      run: () => together(embeddingBackward(dy, ids, [vocabulary], [true])),
    },
    ...sizes.flatMap((size) => {
      const [weight, gradient, mean, average] = [1, 2, 3, 4].map((seed) => upload(gpu, randomValues(size, seed), [size]));
      const square = upload(gpu, randomValues(size, 4).map(Math.abs), [size]);
      const copies = (ema: boolean) => ({ weight: scale(weight, 1), mean: scale(mean, 1), square: scale(square, 1), average: ema ? scale(average, 1) : undefined });
      const update = (ema: boolean) => {
        const changed = copies(ema);
        const run = (tensors = changed) => adamW({ gradient, ...tensors }, options);
        const runAfresh = () => {
          const fresh = copies(ema);
          run(fresh);
          return together(Object.values(fresh));
        };
        return { run: () => (run(), together([])), runAfresh };
      };
      const shared = { name: `${size} weights`, flops: 0 };
      const moved = (tensors: number) => tensors * bytesOf(weight);
      return [
        { ...shared, variant: "copy", bytes: moved(2), run: () => scale(weight, 1) },
        { ...shared, variant: "sum of squares", bytes: moved(1), run: () => sumOfSquares([gradient]) },
        { ...shared, variant: "AdamW", bytes: moved(7), ...update(false) },
        { ...shared, variant: "AdamW and EMA", bytes: moved(9), ...update(true) },
      ];
    }),
  ];
});
