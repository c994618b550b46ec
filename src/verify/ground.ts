import { automaticBatch } from "../grounding/batch.ts";
import { type BiasMeans, biasMeans, mergeMeans } from "../grounding/bias_merging.ts";
import { lastStepWeights, mainPass } from "../grounding/main_pass.ts";
import { MapSink, captureLayers } from "../grounding/map_sink.ts";
import { normalised } from "../grounding/maps.ts";
import type { Mode } from "../grounding/options.ts";
import { setWeights } from "../grounding/phrases.ts";
import { addNoise, latentSample } from "../ops/diffusion.ts";
import { full } from "../ops/fill.ts";
import { type LayerMaps, upsampledMean } from "../ops/grounding.ts";
import { toChannelsFirst } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { compatBound, mapBound, outputBound, probabilityBound, ssimBound } from "./bounds.ts";
import { type Golden, onDevice } from "./context.ts";
import { type GroundCase, measuredMaps } from "./ground_facts.ts";
import { type CaseInputs, type GroundRun, withCase, withGroundRun } from "./ground_setup.ts";
import { mapParts } from "./map_parts.ts";
import { mergeKinds } from "./maps.ts";
import { type Part, absolutePart, exactPart, relativePart } from "./parts.ts";
import { momentParts } from "./vae.ts";

/** The main job end to end: every mode, bias, merge, mask and metric, from the noises that the reference drew. */
export const groundGolden: Golden = {
  name: "ground",
  paths: ["ground.safetensors"],
  run: (context, path) =>
    withGroundRun(context, path, {}, async (run) => {
      const { facts, ldm, golden, moments } = run;
      const encoded = await onDevice(context.gpu, () => ({ mean: toChannelsFirst(moments.mean), logvar: toChannelsFirst(moments.logvar) }));
      const parts = [
        exactPart("timesteps", ldm.schedule.timesteps(facts.T), facts.timesteps),
        ...momentParts(encoded, { mean: golden.tensor("vae.mean"), logvar: golden.tensor("vae.logvar") }),
      ];
      for (const [i, expected] of facts.cases.entries()) {
        const ofCase = await withCase(run, i, expected, (inputs) => caseParts(run, i, expected, inputs));
        parts.push(...ofCase.map((part) => ({ ...part, name: `${i}.${part.name}` })));
      }
      return parts;
    }),
};

/** Modes that are compared; what one captured is needed until all have run. */
const modes = ["gt", "cfg", "gt1"] as const;

async function caseParts(run: GroundRun, i: number, expected: GroundCase, inputs: CaseInputs): Promise<Part[]> {
  const passes: CapturedPass[] = [];
  try {
    for (const mode of modes) passes.push(await capturePass(run, mode, expected, inputs));
    const [gt, cfg, gt1] = passes;
    const latent = (name: string, actual: Float32Array) => relativePart(name, actual, run.golden.tensor(`${i}.${name}`).data, outputBound);
    return [
      ...tokenParts(run, expected, inputs),
      ...(await textParts(run, i, inputs)),
      await noisePart(run, i, expected, inputs),
      ...cfg.latents.map((values, step) => latent(`cfg.latent${step}`, values)),
      latent("gt1.latent", gt1.latents[gt1.latents.length - 1]),
      ...(await biasParts(run, i, expected, { gt: gt.sink, cfg: cfg.sink, gt1: gt1.sink })),
    ];
  } finally {
    for (const { free } of passes) free();
  }
}

/** Words and tokens, exactly. */
function tokenParts({ ldm, side }: GroundRun, expected: GroundCase, { paper, compat }: CaseInputs): Part[] {
  const kept = paper.choice.words.flatMap(({ kept }, word) => (kept ? [word] : []));
  return [
    exactPart("tokens", paper.encoding.tokens, expected.tokens),
    exactPart("kept_words", kept, expected.kept_words),
    exactPart("token_indices", paper.choice.sets.flat(), expected.token_indices),
    exactPart("first_piece_indices", compat.choice.sets.flat(), expected.first_piece_indices),
    exactPart("layers", captureLayers(ldm.unet, side, "all").map(({ name }) => name), expected.layers),
  ];
}

/** The text encoder's output for the phrase and for the empty text. */
async function textParts({ ldm, golden }: GroundRun, i: number, { paper }: CaseInputs): Promise<Part[]> {
  const { gpu, textEncoder, tokenizer } = ldm;
  const encoded = await onDevice(gpu, () => ({
    context: textEncoder.encode(gpu, [paper.encoding], { masked: true, dtype: "f32" }),
    uncond: textEncoder.encode(gpu, [tokenizer.encode("")], { masked: false, dtype: "f32" }),
  }));
  return (["context", "uncond"] as const).map((name) => relativePart(name, encoded[name].data, golden.tensor(`${i}.in.${name}`).data, outputBound));
}

/** What the U-Net predicts for the noised image at the first timestep, without guidance. */
async function noisePart({ ldm, facts, golden, moments, side }: GroundRun, i: number, { image }: GroundCase, { texts, noise }: CaseInputs): Promise<Part> {
  const { gpu, unet, vae, schedule } = ldm;
  const [timestep] = facts.timesteps;
  const index = facts.images.indexOf(image);
  const shape = [1, side, side, vae.config.latentChannels];
  noise.begin(1);
  noise.place([{ image: index, timestep }]);
  const { sqrtAlpha, sqrtOneMinusAlpha } = schedule.noiseCoefficients(timestep);
  const { predicted } = await onDevice(gpu, () => {
    const z = latentSample(moments.mean, moments.logvar, noise.latent(shape), vae.config.scalingFactor, gpu.tensor(Uint32Array.of(index), [1]));
    const noised = addNoise(z, noise.diffusion(shape), { sqrtAlpha: full(gpu, [1], sqrtAlpha), sqrtOneMinusAlpha: full(gpu, [1], sqrtOneMinusAlpha) });
    const context = { keyValues: texts.keyValues, contextOf: gpu.tensor(Uint32Array.of(0), [1]) };
    return { predicted: toChannelsFirst(unet.forward(noised, full(gpu, [1], timestep), context) as Tensor) };
  });
  return relativePart("gt.eps0", predicted.data, golden.tensor(`${i}.gt.eps0`).data, outputBound);
}

/** Token sets that every pass captures, timestep by timestep. */
const captured = { paper: 0, start: 1, compat: 2 } as const;

/** The maps of every timestep of a pass and, of a sampled one, the latents [C, h, w] after every step. */
interface CapturedPass {
  sink: MapSink;
  latents: Float32Array[];
  free(): void;
}

async function capturePass(run: GroundRun, mode: Mode, { image }: GroundCase, { paper, compat, texts, noise }: CaseInputs): Promise<CapturedPass> {
  const { ldm, facts, moments, side, context } = run;
  const { gpu } = ldm;
  const weights = setWeights(ldm, [paper], () => [paper.choice.weights, [0], compat.choice.weights]);
  const sink = new MapSink(gpu, {
    layers: captureLayers(ldm.unet, side, "all"),
    weights,
    targets: 1,
    timesteps: facts.T,
    perTimestep: Object.values(captured),
    stopEarly: mode === "gt",
  });
  const free = () => {
    sink.free();
    weights.free();
  };
  const pass = mainPass({
    ldm, sink, noise, texts, moments,
    settings: { mode, steps: facts.T, guidance: facts.guidance_scale },
    targets: [{ image: facts.images.indexOf(image), text: 0 }],
    imageKeys: facts.images.map((_, key) => key),
    latentShape: [side, side, ldm.vae.config.latentChannels],
    weights: lastStepWeights(facts.T, facts.rev_diff_steps),
    batch: automaticBatch(gpu, side),
    signal: context.signal,
  });
  const latents: Float32Array[] = [];
  try {
    for await (const progress of pass) {
      if (!("latent" in progress)) continue;
      const { latent } = await onDevice(gpu, () => ({ latent: toChannelsFirst(progress.latent) }));
      latents.push(latent.data);
    }
    return { sink, latents, free };
  } catch (error) {
    free();
    throw error;
  }
}

/** Captured maps of a token set, [1, T, side * side] a layer. */
function mapsOf(sink: MapSink, set: number): LayerMaps[] {
  const ofSet = sink.perTimestep.get(set) as ReadonlyMap<string, Tensor>;
  return sink.layers.map(({ name, side }) => ({ maps: (ofSet.get(name) as Tensor).reshape(1, -1, side * side), side }));
}

/** Means, merges, masks and metrics in both readings. */
async function biasParts(run: GroundRun, i: number, expected: GroundCase, sinks: Record<"gt" | "cfg" | "gt1", MapSink>): Promise<Part[]> {
  const { ldm, facts, golden, side } = run;
  const { gpu } = ldm;
  const computed = await onDevice<string>(gpu, () => {
    const combWeights = gpu.tensor(Float32Array.from(lastStepWeights(facts.T, facts.rev_diff_steps)), [facts.T]);
    const meansOf = (set: number): BiasMeans => biasMeans({ comb: mapsOf(sinks.gt, set), img: mapsOf(sinks.gt, captured.start), txt: mapsOf(sinks.cfg, set), side, combWeights });
    const paper = meansOf(captured.paper);
    const merged = mergeKinds.map((kind) => mergeMeans(paper, { side, kind, reading: "paper" }));
    const compat = mergeMeans(meansOf(captured.compat), { side, kind: "mixture", reading: "compat" });
    return {
      P_comb: paper.comb,
      P_img: paper.img,
      P_txt: paper.txt,
      P_mult: paper.mult,
      P_comb_all_steps: upsampledMean(mapsOf(sinks.gt, captured.paper), { side }),
      gt1: upsampledMean(mapsOf(sinks.gt1, captured.paper), { side, timestepWeights: combWeights }),
      ssim: merged[0].ssim,
      ...Object.fromEntries(mergeKinds.map((kind, k) => [kind, merged[k].map])),
      ssim_compat: compat.ssim,
      activation: compat.comb,
      merged_biases: compat.mult,
      compat: compat.map,
    };
  });
  const ours = (name: string) => computed[name].data;
  const theirs = (name: string) => golden.tensor(`${i}.${name}`).data;
  const maps = { P_comb: normalised(ours("P_comb")), mixture: ours("mixture"), compat: ours("compat") };
  return [
    ...["P_comb", "P_comb_all_steps", "P_img", "P_txt"].map((name) => absolutePart(`${name} as captured`, ours(name), theirs(`paper.${name}`), probabilityBound)),
    ...["P_comb", "P_comb_all_steps", "P_img", "P_txt", "P_mult"].map((name) => absolutePart(name, normalised(ours(name)), normalised(theirs(`paper.${name}`)), mapBound)),
    absolutePart("gt1.P_comb", normalised(ours("gt1")), normalised(theirs("gt1.P_comb")), mapBound),
    absolutePart("ssim", ours("ssim"), [expected.ssim], ssimBound),
    ...mergeKinds.map((kind) => absolutePart(kind, ours(kind), theirs(`paper.${kind}`), mapBound)),
    absolutePart("ssim_compat", ours("ssim_compat"), [expected.ssim_compat], ssimBound),
    absolutePart("compat.activation", ours("activation"), theirs("compat.activation"), compatBound),
    absolutePart("compat.merged_biases", greyLevels(ours("merged_biases")), greyLevels(theirs("compat.merged_biases")), compatBound),
    absolutePart("compat.map", ours("compat"), theirs("compat.map"), compatBound),
    ...measuredMaps.flatMap((name) =>
      mapParts({
        name,
        map: maps[name],
        side,
        imageSize: ldm.vae.config.sampleSize,
        boxes: facts.boxes[expected.image],
        mixture: expected[`gmm.${name}`],
        mask: theirs(`mask.${name}`),
        metrics: expected[`metrics.${name}`],
      }),
    ),
  ];
}

/** Maps that went through uint8, without the rounding to f16 by which neighbouring grey levels may stand 4.4e-3 apart. */
const greyLevels = (map: Float32Array) => map.map((value) => Math.round(255 * value) / 255);
