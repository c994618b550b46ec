import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { loadModel } from "../models/load.ts";
import { type Model, Parameter } from "../models/parameters.ts";
import type { Float } from "../ops/check.ts";
import { zeros } from "../ops/fill.ts";
import { addInto } from "../ops/accumulate.ts";
import { cast } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import type { TensorSource } from "../weights/checkpoint.ts";
import type { TensorOutput } from "../weights/safetensors_writer.ts";

/** Tensors by checkpoint key, in the model's order. */
export type ParameterSet = ReadonlyMap<string, Parameter>;

/** Where checkpoints put a model's weights. */
export interface PartPlace {
  /** Folder of the diffusers layout: unet, vae, text_encoder. */
  readonly folder: string;
  /** The file in it. */
  readonly weightsFile: "diffusion_pytorch_model.safetensors" | "model.safetensors" | "pytorch_lora_weights.safetensors";
  /** What stands before the model's keys in the file, such as `bert.`. */
  readonly keyPrefix: string;
  /** Text of the folder's config.json, if it has one. */
  readonly config?: string;
  /** Other tensors of the file. */
  readonly others?: readonly TensorOutput[];
}

/** Where the tensors of a part come from. What is absent starts from the weights (ema) or from zeros (moments). */
export interface PartSources {
  /** By the model's keys, or with the part's prefix before them. */
  readonly weights: TensorSource;
  /** By the same keys. */
  readonly ema?: TensorSource;
  /** Keys begin with `mean.` and `square.`, then the folder. */
  readonly moments?: TensorSource;
}

/** One model of a training run, with what AdamW and the moving average keep of each weight: all f32, all packed alike. */
export interface TrainedPart extends PartPlace {
  /** The model's own parameters: what its passes read, in the storage type of the recipe. */
  readonly stored: ParameterSet;
  /** Master weights; with f32 storage the stored tensors themselves. */
  readonly weights: ParameterSet;
  /** Running means of the gradients: torch's `exp_avg`. */
  readonly means: ParameterSet;
  /** Running means of their squares: torch's `exp_avg_sq`. */
  readonly squares: ParameterSet;
  /** Moving averages of the master weights; undefined where none are kept. */
  readonly ema: ParameterSet | undefined;
}

/** Options of `createTrainedPart`. */
export interface PartOptions {
  /** Storage of what the model's passes read. */
  dtype: Float;
  /** Whether a moving average of the weights is kept. */
  ema: boolean;
}

/** Makes all parameters of `model` trainable: loads them, and what belongs to them. Throws WeightsError where they do not fit. */
export async function createTrainedPart(gpu: Gpu, model: Model, place: PartPlace, sources: PartSources, options: PartOptions): Promise<TrainedPart> {
  const sets: ParameterSet[] = [];
  const load = async (source: TensorSource, keyPrefix: string, ignoredKeys: RegExp) => {
    const set = declareAlike(model.parameters);
    await loadModel(gpu, { parameters: set, ignoredKeys, renameKey: model.renameKey }, source, { dtype: "f32", prefixes: [keyPrefix, ""] });
    sets.push(set);
    return set;
  };
  const startFrom = (make: (parameter: Parameter) => Tensor) => {
    const set = declareAlike(model.parameters);
    sets.push(set);
    for (const parameter of set.values()) parameter.fill([gpu.keep(make(parameter))]);
    return set;
  };
  const moment = (name: "mean" | "square") =>
    sources.moments ? load(sources.moments, `${name}.${place.folder}.`, /^(mean|square)\.|^state$/) : startFrom(({ packedShape }) => zeros(gpu, packedShape));
  try {
    const weights = await load(sources.weights, place.keyPrefix, model.ignoredKeys);
    const whole = (name: string) => onePiece(weights.get(name) as Parameter);
    for (const name of weights.keys()) whole(name);
    const ema = options.ema ? (sources.ema ? await load(sources.ema, place.keyPrefix, model.ignoredKeys) : startFrom(({ name }) => duplicate(whole(name)))) : undefined;
    const part = { ...place, stored: model.parameters, weights, means: await moment("mean"), squares: await moment("square"), ema };
    sets.push(model.parameters);
    for (const [name, parameter] of model.parameters) parameter.fill([gpu.keep(cast(whole(name), options.dtype))]);
    return part;
  } catch (error) {
    for (const set of sets) for (const parameter of set.values()) parameter.free();
    throw error;
  }
}

/** Gives a part's tensors back, those of the model too. */
export function freeTrainedPart(part: TrainedPart): void {
  for (const set of [part.stored, part.weights, part.means, part.squares, part.ema]) {
    for (const parameter of set?.values() ?? []) parameter.free();
  }
}

/** The same declarations, still empty. */
function declareAlike(parameters: ParameterSet): ParameterSet {
  return new Map([...parameters].map(([name, { shape, packing }]) => [name, new Parameter(name, shape, packing)]));
}

function duplicate(x: Tensor): Tensor {
  return addInto(zeros(x.gpu, x.shape), x);
}

function onePiece(parameter: Parameter): Tensor {
  if (parameter.chunks.length > 1) throw new InputError(parameter.name, "is larger than one binding of this device and cannot be trained on it; keep the text encoder frozen");
  return parameter.tensor;
}
