import { randomValues, upload } from "../shaders-test/values.ts";
import { bytesOf } from "../src/ops/check.ts";
import { addNoise, ddimStep, latentSample, noiseItems, normalNoise } from "../src/ops/diffusion.ts";
import { benchMain } from "./harness.ts";

/** SD 1.5's latent for 50 timesteps at once. */
await benchMain((gpu) => {
  const shape = [50, 64, 64, 4];
  const count = 50 * 64 * 64 * 4;
  const [x, noise, logvar] = [1, 2, 3].map((seed) => upload(gpu, randomValues(count, seed), shape));
  const items = noiseItems(gpu, Array.from({ length: 50 }, (_, timestep) => ({ image: 1, timestep })));
  const [sqrtAlpha, sqrtOneMinusAlpha] = [1, 2].map((seed) => upload(gpu, randomValues(50, seed), [50]));
  const coefficients = upload(gpu, randomValues(7, 3), [7]);
  const moved = (tensors: number) => tensors * bytesOf(x);
  const shared = { name: "50 latents 64x64x4", flops: 0 };
  return [
    { ...shared, variant: "normal noise", bytes: moved(1), run: () => normalNoise(gpu, shape, { seed: 1, stream: 0, items }) },
    { ...shared, variant: "add noise", bytes: moved(3), run: () => addNoise(x, noise, { sqrtAlpha, sqrtOneMinusAlpha }) },
    { ...shared, variant: "latent sample", bytes: moved(4), run: () => latentSample(x, logvar, noise, 0.18215) },
    { ...shared, variant: "DDIM step", bytes: moved(3), run: () => ddimStep(x, noise, coefficients) },
  ];
});
