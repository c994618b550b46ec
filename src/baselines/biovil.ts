import type { Config } from "../config.ts";
import type { Film } from "../data/film.ts";
import { croppedPlane } from "../data/planes.ts";
import { type PreprocessPlan, planPreprocess, planResizeCrop } from "../data/preprocess.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type ActivationMask, activationMask } from "../grounding/mask.ts";
import { normalised, rowsOf } from "../grounding/maps.ts";
import { BertModel, readBertConfig } from "../models/bert.ts";
import { BioViLImageModel } from "../models/biovil.ts";
import { loadModel } from "../models/load.ts";
import { type Model, freeModel } from "../models/parameters.ts";
import { sliceLast } from "../ops/pointwise.ts";
import type { Platform } from "../platform.ts";
import { type Tokenizer, loadTokenizer } from "../text/tokenizer.ts";
import { type FolderSource, readJson, readText } from "../weights/byte_source.ts";
import { findWeights, openCheckpoint, weightsPath } from "../weights/open_checkpoint.ts";
import { type PatchGrid, type UnitVector, gridOverImage, similarityGrid, unitVector } from "./similarity.ts";

/** BioViL's image model and text encoder, which share a space of embeddings (Boecking et al. 2022; method, section 10). */
export interface BioViL {
  /** The device that holds both models. */
  readonly gpu: Gpu;
  /** Path or URL of its folder, as errors name it. */
  readonly name: string;
  /** A ResNet-50 and a projector of its patches: a film of 480 x 480 gives 15 x 15 vectors of 128 channels. */
  readonly image: BioViLImageModel;
  /** CXR-BERT with its projection head, which brings [CLS] to the same 128 channels. */
  readonly text: BertModel;
  /** CXR-BERT's WordPiece tokenizer. */
  readonly tokenizer: Tokenizer;
  /** SHA-256 over the weights of both. */
  readonly sha256: string;
  /** Gives the memory of both models back. */
  free(): void;
}

/** Options of `loadBioViL`. */
export interface BioViLOptions {
  /** The image model's weights in the folder. Default: the published name. */
  imageWeights?: string;
  /** Ends the loading, which rejects with the signal's reason; what was loaded so far is freed. */
  signal?: AbortSignal;
}

/** What the image model's weights are called in the published folder of CXR-BERT-specialized. */
export const publishedImageWeights = "biovil_image_resnet50_proj_size_128.pt";

/**
 * Loads BioViL, or with its weights BioViL-L, from a folder that holds CXR-BERT (config.json, tokenizer, weights) and
 * the image model beside it. Throws InputError or WeightsError naming the file and what is wrong with it.
 */
export async function loadBioViL(gpu: Gpu, platform: Platform, folder: FolderSource, options: BioViLOptions = {}): Promise<BioViL> {
  const text = new BertModel(readBertConfig(`${folder.name}/config.json`, (await readJson(folder, "config.json")) as Config), { withProjection: true });
  if (text.config.projection === undefined) throw new InputError(`${folder.name}/config.json`, "has no projection_size; take CXR-BERT-specialized, which projects into the space of images");
  const image = new BioViLImageModel();
  const tokenizer = await loadTokenizer(async (name) => ((await folder.has(name)) ? readText(folder, name) : undefined), { where: folder.name });
  const hasher = platform.createHasher();
  const free = () => [text, image].forEach(freeModel);
  const load = async (model: Model, path: string, prefixes: readonly string[]) => {
    const checkpoint = await openCheckpoint(folder, path);
    try {
      await loadModel(gpu, model, checkpoint, { prefixes, signal: options.signal, onBytes: (bytes) => hasher.update(bytes) });
    } finally {
      await checkpoint.close();
    }
  };
  try {
    // The image model's file beside CXR-BERT's is no second choice.
    await load(text, (await weightsPath(folder, "")) ?? (await findWeights(folder, "")), ["bert.", ""]);
    await load(image, options.imageWeights ?? publishedImageWeights, [""]);
  } catch (error) {
    free();
    throw error;
  }
  return { gpu, name: folder.name, image, text, tokenizer, sha256: hasher.hex(), free };
}

/** Sides of the published preprocessing: the film's shorter side, and the square that is cut out of its middle. */
const [RESIZED, CROPPED] = [512, 480];

/** A film as BioViL sees it: one unit vector a patch. */
export interface EmbeddedFilm {
  /** Where the 480 x 480 pixels that the model saw lie in the film, whose shorter side was resized to 512. */
  readonly plan: PreprocessPlan;
  /** Row after row of a square. */
  readonly patches: readonly UnitVector[];
}

/** The embeddings of a film's patches. */
export async function embedFilm({ gpu, image }: BioViL, film: Film): Promise<EmbeddedFilm> {
  const plan = planResizeCrop(film.width, film.height, RESIZED, CROPPED);
  const { embeddings } = gpu.scope("baseline", () => image.forward(gpu.tensor(prepareFilm(film, plan), [1, CROPPED, CROPPED, 3])));
  const values = await embeddings.read();
  embeddings.free();
  return { plan, patches: rowsOf(values, embeddings.shape[3]).map(unitVector) };
}

/** The projected [CLS] of phrases as unit vectors. */
export async function embedPhrases({ gpu, text, tokenizer }: BioViL, phrases: readonly string[]): Promise<UnitVector[]> {
  const encodings = phrases.map((phrase) => tokenizer.encode(phrase));
  const shape = [phrases.length, tokenizer.length];
  const upload = (pick: "ids" | "attentionMask") => gpu.tensor(Uint32Array.from(encodings.flatMap((encoding) => [...encoding[pick]])), shape);
  const projected = gpu.scope("baseline", () => {
    const hidden = text.forward(upload("ids"), { mask: upload("attentionMask"), dtype: "f32" });
    const [batch, length, width] = hidden.shape;
    return text.projectCls(sliceLast(hidden.reshape(batch, length * width), 0, width));
  });
  const values = await projected.read();
  projected.free();
  return rowsOf(values, projected.shape[1]).map(unitVector);
}

/** Where BioViL sees a phrase in a film, with what masks and metrics are made from. */
export interface BioViLMap extends ActivationMask {
  /** Cosines of the patches with the phrase, smoothed, over the crop that BioViL sees. */
  grid: PatchGrid;
  /** Side of `map`. */
  side: number;
  /** [side * side], min-max normalised; beyond the crop, the value at its nearest edge. */
  map: Float32Array;
  /** [side * side], 1 where BioViL saw the film: method section 10 leaves the rest open (NaN). */
  seen: Uint8Array;
  /** Side of the image that the map lies over: the film as `planPreprocess` makes it. */
  imageSize: number;
}

/** Pixels of the image that a cell of the map covers on each side: those of a latent's position, as the diffusion maps have. */
const CELL = 8;

/**
 * Maps of phrases over a film, in the place and size of a diffusion model's maps for images of `imageSize`, so that mask
 * and metrics are made from both alike.
 */
export async function mapPhrases(biovil: BioViL, film: Film, phrases: readonly string[], imageSize: number): Promise<BioViLMap[]> {
  const { plan, patches } = await embedFilm(biovil, film);
  const embedded = await embedPhrases(biovil, phrases);
  const side = imageSize / CELL;
  const imagePlan = planPreprocess(film.width, film.height, imageSize);
  return embedded.map((phrase) => {
    const grid = similarityGrid(patches, phrase);
    const { map: similarities, seen } = gridOverImage(grid, plan, imagePlan, side);
    const map = Float32Array.from(normalised(similarities));
    return { grid, side, map, seen, imageSize, ...activationMask(map, side) };
  });
}

/** torchvision's transform of a Pillow image: grey, resized and cropped in 8 bits, [0, 1], repeated. -> [480, 480, 3] */
function prepareFilm({ width, height, channels, data }: Film, plan: PreprocessPlan): Float32Array {
  const grey = new Float64Array(width * height);
  for (let i = 0; i < grey.length; i++) grey[i] = channels === 1 ? data[i] : luma(data[3 * i], data[3 * i + 1], data[3 * i + 2]);
  const cropped = croppedPlane({ width, height, data: grey }, plan);
  return Float32Array.from({ length: 3 * cropped.length }, (_, i) => Math.round(cropped[Math.floor(i / 3)]) / 255);
}

/** Pillow's conversion to grey (ITU-R 601-2), in its fixed-point arithmetic. */
function luma(red: number, green: number, blue: number): number {
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}
