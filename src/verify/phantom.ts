import type { Film } from "../data/film.ts";
import { automaticBatch } from "../grounding/batch.ts";
import type { Moments } from "../grounding/main_pass.ts";
import { tokenSets } from "../grounding/map_sink.ts";
import { completeSettings } from "../grounding/options.ts";
import { MemoryBiasStore } from "../grounding/phrase_bias.ts";
import { encodeTexts, preparePhrase } from "../grounding/phrases.ts";
import { capturedMean } from "../grounding/final_maps.ts";
import { runPasses } from "../grounding/run_passes.ts";
import { Stopwatch } from "../grounding/stopwatch.ts";
import { type LatentDiffusion, loadLatentDiffusion } from "../models/ldm.ts";
import { toChannelsFirst } from "../ops/pointwise.ts";
import { outputBound, probabilityBound } from "./bounds.ts";
import { type Golden, type VerifyContext, companion, onDevice } from "./context.ts";
import { givenNoise } from "./given_noise.ts";
import { type GoldenFile, readGoldenFile } from "./golden_file.ts";
import { withMoments } from "./ground_setup.ts";
import { type Part, absolutePart, exactPart, relativePart } from "./parts.ts";
import { momentParts } from "./vae.ts";

/** The shipped model on its own films: ground-truth mode with given noises, all timesteps. */
export const phantomGolden: Golden = {
  name: "phantom",
  paths: ["reference.safetensors", "phantom/reference.safetensors", "../phantom/reference.safetensors"],
  async run(context, path) {
    const { gpu, platform, folder, signal } = context;
    const golden = await readGoldenFile(folder, path);
    const model = companion(context, path.replace(/reference\.safetensors$/, "model"));
    const films: Film[] = [];
    for (const name of golden.fact<string[]>("films")) {
      const source = await model.open(`samples/${name}`);
      films.push(await platform.decodeFilm(await source.read(0, source.size), source.name).finally(() => source.close()));
    }
    const ldm = await loadLatentDiffusion(gpu, platform, model, { signal });
    return withMoments(ldm, films, signal, (moments) => phantomParts(context, golden, ldm, moments));
  },
};

async function phantomParts({ gpu, signal }: VerifyContext, golden: GoldenFile, ldm: LatentDiffusion, moments: Moments): Promise<Part[]> {
  const encoded = await onDevice(gpu, () => ({ mean: toChannelsFirst(moments.mean), logvar: toChannelsFirst(moments.logvar) }));
  const timesteps = golden.fact<number[]>("timesteps");
  const settings = completeSettings({ mode: "gt", merge: "none", steps: timesteps.length, lastSteps: timesteps.length }, ldm.unet.crossAttentions.length);
  const phrases = await Promise.all(golden.fact<string[]>("phrases").map((phrase) => preparePhrase(ldm, phrase, settings)));
  const { context } = await onDevice(gpu, () => ({ context: ldm.textEncoder.encode(gpu, phrases.map(({ encoding }) => encoding), { masked: true, dtype: "f32" }) }));
  const [latent, diffusion] = ["in.ez", "in.en"].map((name) => {
    const { data, shape: [films, steps, ...image] } = golden.tensor(name);
    return { data, shape: [films * steps, ...image] };
  });
  const noise = givenNoise(gpu, { latent, diffusion }, ({ image, timestep }) => image * timesteps.length + timesteps.indexOf(timestep));
  const texts = encodeTexts(ldm, phrases);
  const side = moments.mean.shape[1];
  try {
    const captured = await runPasses({
      ldm, settings, phrases, texts, noise, moments, side,
      targets: phrases.map((_, i) => ({ image: i, text: i })),
      imageKeys: phrases.map((_, i) => i),
      batch: automaticBatch(gpu, side),
      options: { signal },
      watch: new Stopwatch(),
      store: new MemoryBiasStore(),
    });
    const maps = await onDevice(gpu, () => ({ P_comb: capturedMean(captured.sink, side, tokenSets.chosen), P_img: capturedMean(captured.sink, side, tokenSets.start) })).finally(() => captured.free());
    return [
      exactPart("timesteps", ldm.schedule.timesteps(settings.steps), timesteps),
      exactPart("kept tokens", phrases.map(({ choice }) => choice.sets.flat()), golden.fact<number[][]>("kept_token_indices")),
      ...momentParts(encoded, { mean: golden.tensor("vae.mean"), logvar: golden.tensor("vae.logvar") }),
      relativePart("context", context.data, golden.tensor("out.context").data, outputBound),
      absolutePart("P_comb", maps.P_comb.data, golden.tensor("out.P_comb").data, probabilityBound),
      absolutePart("P_img", maps.P_img.data, golden.tensor("out.P_img").data, probabilityBound),
    ];
  } finally {
    texts.free();
    noise.free();
  }
}
