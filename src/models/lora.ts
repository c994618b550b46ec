import { InputError, WeightsError } from "../errors.ts";
import { type TensorSource, readTensor } from "../weights/checkpoint.ts";
import { convertFloats, isConvertible } from "../weights/float_bytes.ts";
import type { TensorOutput } from "../weights/safetensors_writer.ts";
import { type Model, Parameter } from "./parameters.ts";

/** Low-rank factors on the attention projections of a model (Hu et al. 2021), as diffusers stores them: a model of its own. */
export interface Lora extends Model {
  /** Alphas that differ from the rank, as tensors of the file. */
  readonly alphas: readonly TensorOutput[];
  /** Takes the factors out of the model again. */
  detach(): void;
}

/** Rank and alpha of one layer's factors. */
interface LoraRank {
  rank: number;
  alpha: number;
}

/** What diffusers puts before the keys of a U-Net's factors. */
export const LORA_PREFIX = "unet.";

/** File of the factors, as diffusers calls it. */
export const LORA_FILE = "pytorch_lora_weights.safetensors" as const;

/** Folder of a model that has them, beside `unet`. */
export const LORA_FOLDER = "unet_lora";

/** The layers that carry factors: the projections of self- and cross-attention. */
const PROJECTION = /\.attn[12]\.(to_q|to_k|to_v|to_out\.0)$/;

/** Puts factors of one rank on every attention projection of a model; they are to be filled before its next pass. */
export function attachLora(model: Model, { rank, alpha }: LoraRank): Lora {
  const layers = [...model.parameters.values()].flatMap(({ name, packing }) => (packing === "linear" ? name.replace(/\.weight$/, "") : []));
  const projections = layers.filter((layer) => PROJECTION.test(layer));
  if (projections.length === 0) throw new InputError("loraRank", "the model has no attention projections to put factors on");
  return attach(model, new Map(projections.map((layer) => [layer, { rank, alpha }])));
}

/**
 * Puts the factors on a model that a file in the diffusers or peft format has: their ranks and alphas are the file's
 * (alpha is the rank where it has none). The factors are then to be loaded from it with `loadModel`.
 * Throws WeightsError where it has factors of other layers.
 */
export async function attachLoraOf(model: Model, file: TensorSource): Promise<Lora> {
  const ranks = new Map<string, LoraRank>();
  const alphas = new Map<string, number>();
  for (const [key, entry] of file.tensors) {
    const name = currentLoraName(withoutPrefix(key));
    const layer = name.replace(/\.(lora\.(down|up)\.weight|alpha)$/, "");
    const weight = model.parameters.get(`${layer}.weight`);
    if (layer === name || !PROJECTION.test(layer) || !weight) throw new WeightsError(file.name, `holds ${key}, which is no factor of an attention projection of this model; use the file with the model it was made for`);
    if (name.endsWith(".alpha")) alphas.set(layer, await readNumber(file, key));
    else if (name.endsWith("down.weight")) ranks.set(layer, { rank: entry.shape[0], alpha: entry.shape[0] });
  }
  if (ranks.size === 0) throw new WeightsError(file.name, "holds no LoRA factors; name a pytorch_lora_weights.safetensors");
  for (const [layer, alpha] of alphas) Object.assign(ranks.get(layer) ?? {}, { alpha });
  return attach(model, ranks);
}

/** Prefixes that the keys of a LoRA file may have, for `loadModel`. */
export const loraPrefixes = [LORA_PREFIX, "base_model.model.", ""] as const;

function attach(model: Model, ranks: ReadonlyMap<string, LoraRank>): Lora {
  const parameters = new Map<string, Parameter>();
  const declare = (name: string, shape: readonly number[]) => {
    const parameter = new Parameter(name, shape, "linear");
    parameters.set(name, parameter);
    return parameter;
  };
  const carriers: Parameter[] = [];
  for (const [layer, { rank, alpha }] of ranks) {
    const weight = model.parameters.get(`${layer}.weight`) as Parameter;
    const [outputs, inputs] = weight.shape;
    const down = declare(`${layer}.lora.down.weight`, [rank, inputs]);
    const up = declare(`${layer}.lora.up.weight`, [outputs, rank]);
    weight.lowRank = { down, up, factor: alpha / rank };
    carriers.push(weight);
  }
  return {
    parameters,
    ignoredKeys: /\.alpha$/,
    renameKey: currentLoraName,
    alphas: [...ranks].filter(([, { rank, alpha }]) => alpha !== rank).map(([layer, { alpha }]) => scalar(`${LORA_PREFIX}${layer}.alpha`, alpha)),
    detach() {
      for (const weight of carriers) weight.lowRank = undefined;
    },
  };
}

/** peft's names as diffusers'. */
function currentLoraName(key: string): string {
  return key.replace(/\.lora_A(\.\w+)?\.weight$/, ".lora.down.weight").replace(/\.lora_B(\.\w+)?\.weight$/, ".lora.up.weight");
}

/** diffusers' name of a factor as peft's, with its default adapter. */
export function peftName(name: string): string {
  return name.replace("lora.down", "lora_A.default").replace("lora.up", "lora_B.default");
}

function withoutPrefix(key: string): string {
  const prefix = loraPrefixes.find((candidate) => key.startsWith(candidate)) as string;
  return key.slice(prefix.length);
}

async function readNumber(file: TensorSource, key: string): Promise<number> {
  const entry = file.tensors.get(key);
  if (!entry || entry.shape.length > 1 || !isConvertible(entry.dtype)) throw new WeightsError(file.name, `${key} is not one number`);
  const bytes = convertFloats(await readTensor(file, entry), entry.dtype, "F32", () => undefined);
  return new DataView(bytes.buffer).getFloat32(0, true);
}

function scalar(name: string, value: number): TensorOutput {
  return { name, dtype: "F32", shape: [], chunks: () => [new Uint8Array(Float32Array.of(value).buffer)] };
}
