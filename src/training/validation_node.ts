import { join } from "node:path";
import { readFilm } from "../data/decode_node.ts";
import type { Film } from "../data/film.ts";
import type { DataSample } from "../data/layouts/layout.ts";
import { type Box, planPreprocess, transformBoxes } from "../data/preprocess.ts";
import { overlay } from "../data/render.ts";
import { writePng } from "../data/write_node.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { groundingMetrics } from "../grounding/metrics.ts";
import type { GroundSettings } from "../grounding/options.ts";
import { GroundingPipeline } from "../grounding/pipeline.ts";
import { loadModel } from "../models/load.ts";
import { type Model, freeModel } from "../models/parameters.ts";
import type { TextEncoderModel } from "../models/text_encoder.ts";
import type { UNet2DConditionModel } from "../models/unet.ts";
import { firstAlternative } from "../text/captions.ts";
import { makeFolders, writeFileAtomically } from "../weights/atomic_file_node.ts";
import type { ModelFolder } from "./model_folder_node.ts";
import type { Recipe } from "./recipe.ts";
import type { Skipped } from "./skipped.ts";
import type { ParameterSet, TrainedPart } from "./trained_part.ts";
import { type ValidatedFilm, validationRecord } from "./validation_record.ts";

/** Looks at a U-Net in training: attention maps over films, and how well they match the boxes. */
export interface Validation {
  /** Grounds every film's phrase; writes overlays and mean metrics. */
  validate(steps: number, parts: readonly TrainedPart[], signal?: AbortSignal): Promise<void>;
  /** Gives the memory of the models back. */
  close(): void;
}

/** What is looked at, with which model. */
export interface ValidationOptions {
  /** VAE, text encoder and schedule are read from it. */
  readonly model: ModelFolder;
  /** The U-Net in training: its LoRA, where it has one, is looked at through it. */
  readonly unet: UNet2DConditionModel;
  /** The text encoder in training, if it is trained. */
  readonly textEncoder?: TextEncoderModel;
  /** Its `dtype` is that of the U-Net's activations where a LoRA is trained. */
  readonly recipe: Recipe;
  /** Phrases to ground in their films; those with boxes have metrics. */
  readonly samples: readonly DataSample[];
  /** How many of them, the first that can be read; the others are left out through `skipped`. */
  readonly films: number;
  /** Takes the samples whose film cannot be read. */
  readonly skipped: Skipped;
  /** The run's folder: overlays and metrics.json go to `validation/step-…`. */
  readonly out: string;
}

/** Few timesteps and no text bias: what shows progress, not what is published. */
const settings: Partial<GroundSettings> = { steps: 10, lastSteps: 10, merge: "none" };

/** Folder of a run's validations, one folder a step in it, and the record in that. */
export const VALIDATION_FOLDER = "validation";
export const VALIDATION_FILE = "metrics.json";

/** Longest side of the pictures in pixels. */
const PICTURE_SIDE = 512;

interface ValidationFilm {
  id: string;
  film: Film;
  phrase: string;
  boxes: readonly Box[];
}

/** Loads what grounding needs besides the U-Net. @throws InputError where no film or a part of the model can be read */
export async function openValidation(gpu: Gpu, options: ValidationOptions): Promise<Validation> {
  const { model, out } = options;
  const films = await readFilms(options);
  const [vae, opened, schedule] = [await model.vae(), await model.textEncoder(), await model.schedule()];
  const textEncoder = options.textEncoder ?? opened.textEncoder;
  const loaded: Model[] = [];
  const load = async (built: Model, weights: Awaited<ReturnType<ModelFolder["textEncoderWeights"]>>) => {
    await loadModel(gpu, built, weights).finally(() => weights.close());
    loaded.push(built);
  };
  await load(vae, await model.weights("vae"));
  if (!options.textEncoder) await load(textEncoder.model, await model.textEncoderWeights(textEncoder));
  const shared = { gpu, name: model.name, vae, textEncoder, tokenizer: opened.tokenizer, schedule, free: () => undefined };

  return {
    async validate(steps, parts, signal) {
      const weights = parts.find(({ folder }) => folder === "unet");
      const unet = weights ? await averagedUNet(model, weights.ema ?? weights.weights) : options.unet;
      const pipeline = new GroundingPipeline({ ...shared, unet, dtype: weights ? "f32" : options.recipe.dtype, sha256: `step ${steps}` });
      try {
        await look(pipeline, films, steps, out, signal);
      } finally {
        if (weights) freeModel(unet);
      }
    },
    close: () => loaded.forEach(freeModel),
  };
}

async function readFilms({ samples, films: count, skipped }: ValidationOptions): Promise<ValidationFilm[]> {
  const films: ValidationFilm[] = [];
  for (const { id, imagePath, caption, boxes, line } of samples) {
    if (films.length >= count) break;
    try {
      films.push({ id, film: await readFilm(imagePath), phrase: firstAlternative(caption), boxes });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      skipped.leaveOut(line, error.message);
    }
  }
  if (films.length === 0) throw new InputError("validation", "has no film that can be read; attnscope data check lists what is wrong");
  return films;
}

/** A U-Net that reads the tensors of a set. */
async function averagedUNet(model: ModelFolder, set: ParameterSet): Promise<UNet2DConditionModel> {
  const unet = await model.unet();
  for (const [name, { tensor }] of set) unet.parameters.get(name)?.fill([tensor.gpu.keep(tensor.reshape(...tensor.shape))]);
  return unet;
}

async function look(pipeline: GroundingPipeline, films: readonly ValidationFilm[], steps: number, out: string, signal?: AbortSignal): Promise<void> {
  const folder = join(out, VALIDATION_FOLDER, `step-${String(steps).padStart(6, "0")}`);
  await makeFolders(folder);
  const looked: ValidatedFilm[] = [];
  const results = await pipeline.groundMany(films.map(({ film, phrase }) => ({ film, phrase })), { ...settings, signal });
  for (const [i, { map, mask, side, imageSize }] of results.entries()) {
    const { id, film, phrase, boxes } = films[i];
    const plan = planPreprocess(film.width, film.height, imageSize);
    // Not named by the film: a data set may have several phrases for one.
    const picture = `film-${String(i).padStart(2, "0")}.png`;
    await writePng(join(folder, picture), overlay(film, map, side, plan, { boxes }), PICTURE_SIDE);
    const inImage = transformBoxes(boxes, plan).map(([x, y, w, h]): Box => [Math.round(x), Math.round(y), Math.round(w), Math.round(h)]);
    const { cnr, aucRoc, top1, miou } = groundingMetrics({ map, mask, side, imageSize, boxes: inImage });
    looked.push({ id, phrase, picture, metrics: boxes.length > 0 ? { cnr, aucRoc, top1, miou } : undefined });
  }
  const record = validationRecord(steps, looked);
  await writeFileAtomically(join(folder, VALIDATION_FILE), (sink) => sink.write(new TextEncoder().encode(`${JSON.stringify(record)}\n`)));
}
