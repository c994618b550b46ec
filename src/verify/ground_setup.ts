import type { Film } from "../data/film.ts";
import { encodeImages } from "../grounding/encode_images.ts";
import type { Moments } from "../grounding/main_pass.ts";
import type { NoiseSource } from "../grounding/noise.ts";
import { type EncodedTexts, type PreparedPhrase, encodeTexts, preparePhrase } from "../grounding/phrases.ts";
import { prepareImage } from "../grounding/prepare_image.ts";
import { type LatentDiffusion, type LdmOptions, loadLatentDiffusion } from "../models/ldm.ts";
import { type VerifyContext, companion } from "./context.ts";
import { givenNoise } from "./given_noise.ts";
import { type GoldenFile, readGoldenFile } from "./golden_file.ts";
import type { GroundCase, GroundFacts } from "./ground_facts.ts";
import { findFilm } from "./images.ts";
import type { Part } from "./parts.ts";

/** What the cases of a grounding golden share. */
export interface GroundRun {
  readonly context: VerifyContext;
  readonly golden: GoldenFile;
  readonly facts: GroundFacts;
  readonly ldm: LatentDiffusion;
  readonly moments: Moments;
  /** Side of the latent. */
  readonly side: number;
}

/** Loads the pipeline, encodes the films, and frees both when `use` is done. */
export async function withGroundRun(context: VerifyContext, path: string, options: LdmOptions, use: (run: GroundRun) => Promise<Part[]>): Promise<Part[]> {
  const { gpu, platform, folder, signal } = context;
  const golden = await readGoldenFile(folder, path);
  const names = ["T", "rev_diff_steps", "guidance_scale", "timesteps", "images", "boxes", "cases"] as const;
  const facts = Object.fromEntries(names.map((name) => [name, golden.fact(name)])) as unknown as GroundFacts;
  const films: Film[] = [];
  for (const name of facts.images) films.push((await findFilm(context, name)).film);
  const ldm = await loadLatentDiffusion(gpu, platform, companion(context, "tiny_ldm"), { ...options, signal });
  return withMoments(ldm, films, signal, (moments) => use({ context, golden, facts, ldm, moments, side: ldm.vae.config.sampleSize / ldm.vae.factor }));
}

/** Encodes films, and frees their moments and the model when `use` is done. */
export async function withMoments(ldm: LatentDiffusion, films: readonly Film[], signal: AbortSignal | undefined, use: (moments: Moments) => Promise<Part[]>): Promise<Part[]> {
  try {
    const moments = await encodeImages(ldm, films.map((film) => prepareImage(film, ldm.vae.config.sampleSize)), { signal });
    try {
      return await use(moments);
    } finally {
      moments.mean.free();
      moments.logvar.free();
    }
  } finally {
    ldm.free();
  }
}

/** A case's phrase in both readings, its encoded text and its noises. */
export interface CaseInputs {
  paper: PreparedPhrase;
  compat: PreparedPhrase;
  texts: EncodedTexts;
  noise: NoiseSource;
}

/** Prepares case `i` and frees what it took when `use` is done. */
export async function withCase(run: GroundRun, i: number, { phrase }: GroundCase, use: (inputs: CaseInputs) => Promise<Part[]>): Promise<Part[]> {
  const { ldm, golden, facts } = run;
  const [paper, compat] = await Promise.all((["paper", "compat"] as const).map((reading) => preparePhrase(ldm, phrase, { tokens: "lexical", reading })));
  const tables = { latent: golden.tensor(`${i}.in.ez`), diffusion: golden.tensor(`${i}.in.en`), start: golden.tensor(`${i}.cfg.noise`) };
  // GT-1 starts at a timestep of its own, with the noises of the first.
  const noise = givenNoise(ldm.gpu, tables, ({ timestep }) => Math.max(0, facts.timesteps.indexOf(timestep)));
  const texts = encodeTexts(ldm, [paper]);
  try {
    return await use({ paper, compat, texts, noise });
  } finally {
    texts.free();
    noise.free();
  }
}
