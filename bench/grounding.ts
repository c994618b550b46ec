import { mergeBiases } from "../src/grounding/bias_merging.ts";
import { bytesOf } from "../src/ops/check.ts";
import { type LayerMaps, biasProduct, mapProduct, planMapProduct, ssimUint8, upsampledMean } from "../src/ops/grounding.ts";
import { groundingBench } from "../shaders-test/grounding_cases.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { benchMain, together } from "./harness.ts";

const { timesteps, side, sides } = groundingBench;

await benchMain((gpu) => {
  const captured = (seed: number): LayerMaps[] =>
    sides.map((native, l) => ({ side: native, maps: upload(gpu, randomValues(timesteps * native ** 2, seed + l).map(Math.abs), [timesteps, native ** 2]) }));
  const [comb, img, txt] = [captured(1), captured(101), captured(201)];
  const greys = [301, 302].map((seed) => upload(gpu, randomValues(timesteps * side ** 2, seed).map((value) => Math.floor(128 * (value + 1))), [timesteps, side ** 2]));
  const layerBytes = bytesOf(...comb.map(({ maps }) => maps));
  const productFlops = sides.reduce((sum, native) => sum + planMapProduct(timesteps, native).flops, 0);
  const merge = (reading: "paper" | "compat") => () => together(Object.values(mergeBiases({ comb, img, txt, side }, { kind: "mixture", reading })));
  return [
    ...(["blocks", "naive"] as const).map((variant) => ({
      name: `map product ${timesteps} of ${side}x${side}`,
      variant,
      flops: planMapProduct(timesteps, side).flops,
      bytes: 3 * bytesOf(img[0].maps),
      run: () => mapProduct(img[0].maps, txt[0].maps, { side, variant }),
    })),
    {
      name: `SSIM of ${timesteps} maps ${side}x${side}`,
      variant: "",
      flops: 49 * 10 * timesteps * (side - 6) ** 2,
      bytes: 2 * bytesOf(greys[0]),
      run: () => together(Object.values(ssimUint8(greys[0], greys[1], side))),
    },
    { name: `upsampled mean, ${sides.length} layers`, variant: "", flops: layerBytes / 2, bytes: layerBytes, run: () => upsampledMean(comb, { side }) },
    { name: `bias product, ${sides.length} layers`, variant: "", flops: productFlops, bytes: 4 * layerBytes, run: () => biasProduct(img, txt, { side }) },
    { name: "means and merge", variant: "paper", flops: productFlops, bytes: 7 * layerBytes, run: merge("paper") },
    { name: "means and merge", variant: "compat", flops: productFlops, bytes: 7 * layerBytes, run: merge("compat") },
  ];
});
