import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { BertModel } from "../models/bert.ts";
import { Linear } from "../models/layers.ts";
import { type Model, ParameterScope } from "../models/parameters.ts";
import { type CrossEntropyOptions, crossEntropyLoss } from "../ops/loss.ts";
import { add, scale } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import type { Encoding, Tokenizer } from "../text/tokenizer.ts";
import { type BatchPosition, dataOrder, slotsOf } from "./data_order.ts";
import { drawsFor } from "./draws.ts";
import type { Recipe } from "./recipe.ts";
import type { TrainingTask } from "./unet_training.ts";

/** The attributes that tokens tell of the finding they speak of. */
export const attributes = ["label", "side", "zone"] as const;
/** One of `attributes`. */
export type Attribute = (typeof attributes)[number];

/** A stretch of a text, in UTF-16 units, and the class of each attribute that its words belong to, from 0 to below `classes`. */
export interface TextSegment extends Readonly<Record<Attribute, number>> {
  /** First unit of the stretch. */
  readonly start: number;
  /** First unit after it. */
  readonly end: number;
}

/** Texts whose words are known to speak of something. */
export interface AttributeDataset {
  /** Samples, numbered from 0; one or more. */
  readonly count: number;
  /** How many classes each attribute has. */
  readonly classes: Readonly<Record<Attribute, number>>;
  /** The text of a sample, and what its parts speak of. */
  read(sample: number): {
    /** The sample's caption. */
    readonly text: string;
    /** In any order; words outside of them have no targets. */
    readonly segments: readonly TextSegment[];
  };
}

/** What is predicted of every token in training only: its finding's attributes, and the word that was masked. */
export class AttributeHeads implements Model {
  /** Linear layers `label`, `side`, `zone` and `word`. */
  readonly parameters: Model["parameters"];
  /** None. */
  readonly ignoredKeys = /^$/;
  readonly #heads: Readonly<Record<Attribute | "word", Linear>>;

  constructor(width: number, classes: AttributeDataset["classes"], words: number) {
    const p = new ParameterScope();
    this.parameters = p.all;
    const head = (name: string, count: number) => new Linear(p.at(name), width, count);
    this.#heads = { label: head("label", classes.label), side: head("side", classes.side), zone: head("zone", classes.zone), word: head("word", words) };
  }

  /** Cross entropy of one head over the tokens that have a target: hidden [B, N, width], targets u32 [B, N]. */
  loss(name: Attribute | "word", hidden: Tensor, targets: Tensor, options?: CrossEntropyOptions): Tensor {
    return crossEntropyLoss(this.#heads[name].forward(hidden), targets, options);
  }
}

/** The phantom's recipe for its text encoder. */
export const encoderRecipe: Partial<Recipe> = {
  maxSteps: 1500, batchSize: 64, accumulationSteps: 1, learningRate: 2e-3, warmupSteps: 30, finalRate: 0.02, maxNorm: 0, emaDecay: 0, dtype: "f32",
};

/** Weight of masked language modelling beside the attributes. */
const MASKED_WEIGHT = 0.3;
/** Share of the pieces that are masked. */
const MASKED_SHARE = 0.12;
/** No target: PyTorch's -100. */
const IGNORED = 2 ** 32 - 100;

/** What the encoder's training needs. */
export interface EncoderTask {
  /** The encoder to train. */
  readonly bert: BertModel;
  /** Trained beside it; needed in training only. */
  readonly heads: AttributeHeads;
  /** The encoder's; it must have a token [MASK]. */
  readonly tokenizer: Tokenizer;
  /** Texts whose segments tell their attributes. */
  readonly data: AttributeDataset;
}

/**
 * Training of a text encoder so that every token tells its own finding's attributes: without it maps ignore the image.
 * The sum of the attributes' cross entropies and 0.3 of masked language modelling.
 */
export function encoderTask(gpu: Gpu, recipe: Recipe, { bert, heads, tokenizer, data }: EncoderTask): TrainingTask {
  const maskId = maskTokenId(tokenizer);
  const shape = [recipe.batchSize, tokenizer.length];
  const integers = () => gpu.keep(gpu.empty(shape, "u32"));
  const tensors = { ids: integers(), mask: integers(), label: integers(), side: integers(), zone: integers(), word: integers() };
  const order = dataOrder(recipe, data.count);

  const loss = () => {
    const hidden = bert.forward(tensors.ids, { mask: tensors.mask, dtype: recipe.dtype }); // [B, N, width]
    const words = scale(heads.loss("word", hidden, tensors.word), MASKED_WEIGHT);
    return attributes.reduce((sum, name) => add(sum, heads.loss(name, hidden, tensors[name])), words);
  };

  const fillBatch = async (position: BatchPosition) => {
    const slots = slotsOf(recipe, position);
    const rows = order.batch(position).map((sample, i) => {
      const { text, segments } = data.read(sample);
      const encoding = tokenizer.encode(text);
      const random = drawsFor(recipe.seed, "mask", position.step, slots[i]);
      return { ...attributeTargets(encoding, segments), ...maskedWords(encoding, maskId, () => random.chance(MASKED_SHARE)), mask: Uint32Array.from(encoding.attentionMask) };
    });
    for (const name of Object.keys(tensors) as (keyof typeof tensors)[]) tensors[name].write(Uint32Array.from(rows.flatMap((row) => [...row[name]])));
  };
  return { loss, fillBatch, free: () => Object.values(tensors).forEach((tensor) => tensor.free()) };
}

/** Id of the token that stands for a masked piece. @throws InputError where the tokenizer has none */
export function maskTokenId(tokenizer: Tokenizer): number {
  const { ids, tokens, endIndex } = tokenizer.encode("[MASK]");
  if (endIndex === 2 && tokens[1] === "[MASK]") return ids[1];
  throw new InputError("tokenizer", `reads [MASK] as ${tokens.slice(1, endIndex).join(" ") || "nothing"}, not as one token of that name; add it to the vocabulary and to the special tokens`);
}

/** Targets [N] of the attributes: the classes of the segment that a piece stands in. */
export function attributeTargets({ ids, offsets, endIndex }: Encoding, segments: readonly TextSegment[]): Record<Attribute, Uint32Array> {
  const targets = Object.fromEntries(attributes.map((name) => [name, new Uint32Array(ids.length).fill(IGNORED)])) as Record<Attribute, Uint32Array>;
  for (let i = 1; i < endIndex; i++) {
    const segment = segments.find(({ start, end }) => offsets[i][0] >= start && offsets[i][0] < end);
    if (segment) for (const name of attributes) targets[name][i] = segment[name];
  }
  return targets;
}

/** Ids [N] with some pieces masked, and targets [N]: the ids of these, PyTorch's -100 elsewhere. */
export function maskedWords({ ids, endIndex }: Encoding, maskId: number, chosen: () => boolean): { ids: Uint32Array; word: Uint32Array } {
  const masked = Uint32Array.from(ids);
  const word = new Uint32Array(ids.length).fill(IGNORED);
  for (let i = 1; i < endIndex; i++) {
    if (!chosen()) continue;
    word[i] = ids[i];
    masked[i] = maskId;
  }
  return { ids: masked, word };
}
