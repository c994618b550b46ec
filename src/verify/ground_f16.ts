import { automaticBatch } from "../grounding/batch.ts";
import { finalMaps } from "../grounding/final_maps.ts";
import { completeSettings } from "../grounding/options.ts";
import { MemoryBiasStore } from "../grounding/phrase_bias.ts";
import { runPasses } from "../grounding/run_passes.ts";
import { Stopwatch } from "../grounding/stopwatch.ts";
import { halfPrecisionBound } from "./bounds.ts";
import type { Golden } from "./context.ts";
import type { GroundCase } from "./ground_facts.ts";
import { type CaseInputs, type GroundRun, withCase, withGroundRun } from "./ground_setup.ts";
import { type Part, absolutePart, decorrelationPart } from "./parts.ts";
import { normalised } from "../grounding/maps.ts";

/** The main job with the U-Net in f16: errors are told, the merged maps must correlate with the reference's. */
export const groundHalfGolden: Golden = {
  name: "ground.f16",
  paths: ["ground.safetensors"],
  run: (context, path) =>
    withGroundRun(context, path, { dtype: "f16" }, async (run) => {
      const parts: Part[] = [];
      for (const [i, expected] of run.facts.cases.entries()) parts.push(...(await withCase(run, i, expected, (inputs) => caseParts(run, i, expected, inputs))));
      return parts;
    }),
};

async function caseParts(run: GroundRun, i: number, expected: GroundCase, { paper, texts, noise }: CaseInputs): Promise<Part[]> {
  const { ldm, facts, golden, moments, side, context } = run;
  const settings = completeSettings({ steps: facts.T, lastSteps: facts.rev_diff_steps, guidance: facts.guidance_scale }, ldm.unet.crossAttentions.length);
  const targets = [{ image: facts.images.indexOf(expected.image), text: 0 }];
  const captured = await runPasses({
    ldm, settings, texts, noise, moments, targets, side,
    options: { signal: context.signal },
    phrases: [paper],
    imageKeys: facts.images.map((_, key) => key),
    batch: automaticBatch(ldm.gpu, side),
    watch: new Stopwatch(),
    store: new MemoryBiasStore(),
  });
  try {
    const [{ map, s }] = await finalMaps({ ...captured, settings, side, targets });
    const reference = normalised(golden.tensor(`${i}.paper.mixture`).data);
    return [
      absolutePart(`${i}.mixture`, map, reference),
      absolutePart(`${i}.s`, [s as number], [Math.max(0, expected.ssim)]),
      decorrelationPart(`${i}.1 - correlation of mixture`, map, reference, halfPrecisionBound),
    ];
  } finally {
    captured.free();
  }
}
