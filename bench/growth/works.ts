import { randomValues, upload } from "../../shaders-test/values.ts";
import { shippedFilms } from "../../src/cli/films_file.ts";
import { shippedModel } from "../../src/cli/package.ts";
import { readFilm } from "../../src/data/decode_node.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { GroundSettings } from "../../src/grounding/options.ts";
import type { BiasStore } from "../../src/grounding/phrase_bias.ts";
import { type GroundRequest, GroundingPipeline } from "../../src/grounding/pipeline.ts";
import { type LatentDiffusion, loadLatentDiffusion } from "../../src/models/ldm.ts";
import type { KeyValues } from "../../src/models/transformer.ts";
import { nodePlatform } from "../../src/platform_node.ts";
import type { Tensor } from "../../src/tensor.ts";
import { type TimedRun, together } from "../harness.ts";

/** The model that is measured, and what it is asked about. */
export interface Subject {
  ldm: LatentDiffusion;
  /** Films with a phrase each; no phrase stands there twice. */
  requests: readonly GroundRequest[];
  signal: AbortSignal;
}

/** Work that was made ready. */
export interface Work {
  run: TimedRun;
  free(): void;
}

/** The shipped model and its sample films. */
export async function openSubject(gpu: Gpu, signal: AbortSignal): Promise<Subject> {
  const ldm = await loadLatentDiffusion(gpu, nodePlatform, nodePlatform.openFolder(shippedModel), { signal });
  const requests = await Promise.all((await shippedFilms()).map(async ({ path, phrase }) => ({ film: await readFilm(path), phrase })));
  return { ldm, requests, signal };
}

/** Side of the latents that the model was made for. */
export const latentSide = ({ vae }: LatentDiffusion): number => vae.config.sampleSize / vae.factor;

/** A whole pass of the U-Net on `batch` latents, its keys and values projected before. */
export function unetPass({ ldm, requests }: Subject, { batch, side }: { batch: number; side: number }): Work {
  const ids = tokenIds(ldm, ldm.tokenizer.encode(requests[0].phrase).ids);
  const keyValues = ldm.gpu.scope("text", () => ldm.unet.projectText(encode(ldm, ids)));
  const projected = [...keyValues.values()].flatMap(({ k, v }) => [k, v]);
  return recordedPass(ldm, { batch, side }, () => keyValues, [ids, ...projected]);
}

/** A phrase through the text encoder, its keys and values, and a pass of the U-Net on one latent: as many keys as the phrase has tokens. */
export function phrasePass({ ldm }: Subject, phrase: string): Work {
  const { ids, endIndex } = ldm.tokenizer.encode(phrase);
  const kept = tokenIds(ldm, ids.subarray(0, endIndex + 1));
  return recordedPass(ldm, { batch: 1, side: latentSide(ldm) }, () => ldm.unet.projectText(encode(ldm, kept)), [kept]);
}

function recordedPass({ gpu, unet, dtype }: LatentDiffusion, { batch, side }: { batch: number; side: number }, keyValues: () => Map<string, KeyValues>, inputs: readonly Tensor[]): Work {
  const shape = [batch, side, side, unet.config.inChannels];
  const sample = upload(gpu, randomValues(shape.reduce((a, b) => a * b), 1, dtype), shape, dtype);
  const timesteps = gpu.tensor(new Float32Array(batch).fill(500), [batch]);
  const step = gpu.record("pass", () => void unet.forward(sample, timesteps, { keyValues: keyValues() }));
  return {
    run() {
      step.replay();
      return together([]);
    },
    free: () => [step, sample, timesteps, ...inputs].forEach((thing) => thing.free()),
  };
}

const tokenIds = ({ gpu }: LatentDiffusion, ids: Int32Array): Tensor => gpu.tensor(Uint32Array.from(ids), [1, ids.length]);
const encode = ({ textEncoder, dtype }: LatentDiffusion, ids: Tensor): Tensor => textEncoder.forward(ids, { dtype });

/** Keeps no text bias: every grounding samples its own. */
export const noStore: BiasStore = { get: async () => undefined, put: async () => {} };

/** Groundings of requests in one call, with whatever `store` keeps of their text biases. */
export function grounding({ ldm, signal }: Subject, requests: readonly GroundRequest[], { store = noStore, ...settings }: Partial<GroundSettings> & { store?: BiasStore }): Work {
  const pipeline = new GroundingPipeline(ldm, { store });
  return {
    async run() {
      await pipeline.groundMany(requests, { ...settings, signal });
      return together([]);
    },
    free: () => {},
  };
}

/** The first words of the films' phrases that the model's vocabulary has whole: a phrase of `count` tokens. */
export function phraseOf({ ldm, requests }: Subject, count: number): string {
  const words = requests.flatMap(({ phrase }) => phrase.split(" ")).filter((word) => ldm.tokenizer.encode(word).endIndex === 2);
  return words.slice(0, count).join(" ");
}

/** Every phrase on the first film. */
export const onOneFilm = ({ requests }: Subject, count: number): GroundRequest[] => requests.slice(0, count).map(({ phrase }) => ({ film: requests[0].film, phrase }));
