import { type Box, planPreprocess } from "../data/preprocess.ts";
import { type Point, argmax, resizeBilinear } from "../grounding/maps.ts";
import type { Mixture } from "../grounding/mask.ts";
import { inBoxes } from "../grounding/metrics.ts";
import type { GroundSettings } from "../grounding/options.ts";
import type { PreparedPhrase } from "../grounding/phrases.ts";
import type { GroundResult } from "../grounding/result.ts";
import type { Cost } from "../grounding/savings.ts";
import type { LatentDiffusion } from "../models/ldm.ts";
import { boxOnFilm, pointOnFilm } from "./film_coordinates.ts";

/**
 * What `result.json` holds. Everything but `run` is the same for the same image, phrase, settings, model, device and
 * version, whatever the batch size. Pixels are the film's unless said otherwise.
 */
export interface ResultRecord {
  version: string;
  image: { name: string; sha256: string; width: number; height: number; notes: readonly string[] };
  /** `textEncoder`: where it is not the model's own; `lora`: the folder of the LoRA on its U-Net. The hash is of all parts that were used. */
  model: { name: string; sha256: string; textEncoder?: string; lora?: string };
  adapter: string;
  driver: string;
  dtype: string;
  phrase: string;
  /** What was cut from the phrase, what is unknown in it, or which filter found nothing. */
  note?: string;
  /** What the reader must know of the whole result. */
  warnings: readonly string[];
  /** Every token between start and end, and its weight in the map. */
  tokens: { position: number; token: string; weight: number }[];
  /** The phrase's words, the positions of their tokens, and why they take part or not. */
  words: { text: string; tokens: readonly number[]; kept: boolean; why: string }[];
  mode: GroundSettings["mode"];
  steps: number;
  seed: number;
  settings: Omit<GroundSettings, "mode" | "steps" | "seed" | "batch">;
  /** SSIM of image bias and text bias, and the same clipped to [0, 1]; absent without a merge. */
  ssim?: number;
  s?: number;
  /** Where the map is greatest: its cell, and the pixel of the map at the model's image size on the film. */
  argmax: { cell: Point; film: Point };
  mixture: Mixture;
  threshold: number;
  /** Sides of map.npy and of the model's image. */
  map: { side: number; imageSize: number };
  /** The mask's connected regions, the largest first: on the film and in the model's image. */
  boxes: { film: RecordedBox; model: RecordedBox; area: number; meanActivation: number }[];
  /** Boxes that came with the image, and whether the map's peak lies in one. */
  reference?: { boxes: RecordedBox[]; peakInside: boolean };
  run: RunRecord;
}

/** A box as the file names its sides. */
export interface RecordedBox {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** What differs between two runs that give the same result. */
export interface RunRecord {
  /** Items of one U-Net evaluation. */
  batch: number;
  /** Results that were made in one call and share the numbers below. */
  results: number;
  /** Milliseconds by stage. */
  timings: Record<string, number>;
  gpuBytesPeak: number;
  bytesReadBack: number;
  unetEvaluations: number;
  flops: number;
  /** What the published procedure would have taken. */
  published: Cost;
}

/** What a record holds besides the result itself. */
export interface RecordContext {
  version: string;
  ldm: LatentDiffusion;
  /** Name and SHA-256 of the image file. */
  imageName: string;
  imageSha256: string;
  warnings: readonly string[];
  boxes: readonly Box[];
  results: number;
  gpuBytesPeak: number;
}

/** The record of a result. */
export function resultRecord(result: GroundResult, context: RecordContext): ResultRecord {
  const { film, phrase, settings, side, imageSize, regions, cost } = result;
  const { ldm } = context;
  const { mode, steps, seed, batch: _, ...others } = settings;
  const { encoding, choice } = phrase;
  const plan = planPreprocess(film.width, film.height, imageSize);
  const peak = peakOnFilm(result);
  return {
    version: context.version,
    image: { name: context.imageName, sha256: context.imageSha256, width: film.width, height: film.height, notes: film.notes },
    model: { name: lastName(ldm.name), sha256: ldm.sha256, textEncoder: ldm.textEncoderName && lastName(ldm.textEncoderName), lora: ldm.lora },
    adapter: ldm.gpu.adapter.device,
    driver: ldm.gpu.adapter.description,
    dtype: ldm.dtype,
    phrase: phrase.phrase,
    note: phraseNote(phrase),
    warnings: context.warnings,
    tokens: encoding.tokens.slice(1, encoding.endIndex).map((token, i) => ({ position: i + 1, token, weight: choice.weights[i + 1] })),
    words: choice.words.map(({ text, pieces, kept, why }) => ({ text, tokens: pieces, kept, why })),
    mode,
    steps,
    seed,
    settings: others,
    ssim: result.ssim,
    s: result.s,
    argmax: { cell: result.argmax, film: peak },
    mixture: result.mixture,
    threshold: result.threshold,
    map: { side, imageSize },
    boxes: regions.map(({ box, area, meanActivation }) => ({ film: recordedBox(boxOnFilm(box, plan)), model: recordedBox(box), area, meanActivation })),
    reference: referenceOf(context.boxes, peak),
    run: {
      batch: result.batch,
      results: context.results,
      timings: result.timings,
      gpuBytesPeak: context.gpuBytesPeak,
      bytesReadBack: cost.bytesReadBack,
      unetEvaluations: cost.unetEvaluations,
      flops: cost.flops,
      published: cost.published,
    },
  };
}

/** What the reader of a map must know of its phrase. */
export function phraseNote({ choice, encoding }: PreparedPhrase): string | undefined {
  const isUnknown = (position: number) => unknownTokens.includes(encoding.tokens[position]);
  const unknown = choice.words.filter(({ pieces }) => pieces.some(isUnknown)).map(({ text }) => JSON.stringify(text));
  const notes = [choice.note, unknown.length > 0 && `the model does not know ${[...new Set(unknown)].join(", ")}`];
  return notes.filter(Boolean).join("; ") || undefined;
}

/** How vocabularies write a word that they lack. */
const unknownTokens = ["[UNK]", "<unk>"];

/** The centre of the pixel where the map, scaled to the model's image, is greatest (the paper's Top-1). */
function peakOnFilm({ film, map, side, imageSize }: GroundResult): Point {
  const { x, y } = argmax(resizeBilinear(map, side, imageSize), imageSize);
  return pointOnFilm({ x: x + 0.5, y: y + 0.5 }, planPreprocess(film.width, film.height, imageSize));
}

function recordedBox([x, y, w, h]: Box): RecordedBox {
  return { x, y, w, h };
}

function referenceOf(filmBoxes: readonly Box[], peak: Point): ResultRecord["reference"] {
  if (filmBoxes.length === 0) return undefined;
  return { boxes: filmBoxes.map(recordedBox), peakInside: inBoxes(peak, filmBoxes) };
}

/** The last part of a path or URL: the rest of it says where something lies, not what it is. */
function lastName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}
