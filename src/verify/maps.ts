import type { Box } from "../data/preprocess.ts";
import { mergeMeans } from "../grounding/bias_merging.ts";
import { normalised } from "../grounding/maps.ts";
import type { MergeKind } from "../ops/grounding.ts";
import { mapBound, ssimBound } from "./bounds.ts";
import { type Golden, type VerifyContext, onDevice, upload } from "./context.ts";
import { type GoldenFile, readGoldenFile } from "./golden_file.ts";
import { type GoldenMetrics, mapParts } from "./map_parts.ts";
import { type Part, absolutePart } from "./parts.ts";

interface MapsCase {
  ssim_u8: number;
  gmm_means: number[];
  threshold: number;
  boxes_xywh: Box[];
  metrics: GoldenMetrics;
}

/** Boxes and metrics of this golden are at Stable Diffusion's image size, a latent position being 8 pixels. */
const pixelsAPosition = 8;

export const mergeKinds: readonly MergeKind[] = ["linear", "quadratic", "mixture"];

/** SSIM, merges, masks and metrics of synthetic maps. */
export const mapsGolden: Golden = {
  name: "maps",
  paths: ["maps.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    const parts: Part[] = [];
    for (const [i, facts] of golden.fact<MapsCase[]>("cases").entries()) parts.push(...(await caseParts(context, golden, i, facts)));
    return parts;
  },
};

async function caseParts({ gpu }: VerifyContext, golden: GoldenFile, i: number, facts: MapsCase): Promise<Part[]> {
  const a = golden.tensor(`${i}.a`);
  const [side] = a.shape;
  const outputs = await onDevice(gpu, () => {
    const [comb, mult] = [a, golden.tensor(`${i}.b`)].map((map) => upload(gpu, map).reshape(side * side));
    const merged = mergeKinds.map((kind) => mergeMeans({ comb, mult, img: comb, txt: mult }, { side, kind, reading: "paper" }));
    return { ssim: merged[0].ssim, ...Object.fromEntries(mergeKinds.map((kind, k) => [kind, merged[k].map])) } as Record<MergeKind | "ssim", (typeof merged)[0]["map"]>;
  });
  return [
    absolutePart(`${i}.ssim`, outputs.ssim.data, [facts.ssim_u8], ssimBound),
    ...mergeKinds.map((kind) => absolutePart(`${i}.${kind}`, outputs[kind].data, golden.tensor(`${i}.${kind}`).data, mapBound)),
    ...mapParts({
      name: `${i}`,
      map: normalised(a.data),
      side,
      imageSize: pixelsAPosition * side,
      boxes: facts.boxes_xywh,
      mixture: { means: facts.gmm_means, threshold: facts.threshold },
      mask: golden.tensor(`${i}.mask`).data,
      metrics: facts.metrics,
    }),
  ];
}
