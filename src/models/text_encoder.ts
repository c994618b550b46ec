import type { Gpu } from "../gpu/gpu.ts";
import type { Float } from "../ops/check.ts";
import type { Tensor } from "../tensor.ts";
import type { Encoding } from "../text/tokenizer.ts";
import { BertModel, readBertConfig } from "./bert.ts";
import { ClipTextModel, type ClipTextConfig, readClipTextConfig, readOpenClipConfig } from "./clip.ts";
import { type Config, ConfigReader } from "../config.ts";
import type { TensorSource } from "../weights/checkpoint.ts";
import { bertTensors, clipTensors } from "../weights/text_layouts.ts";
import type { Model } from "./parameters.ts";

/** A text encoder as a latent diffusion model uses it. */
export interface TextEncoderModel {
  readonly model: Model;
  /** Channels of its output. */
  readonly width: number;
  /** Positions that it has: the longest sequence it takes. */
  readonly positions: number;
  /** What transformers puts before its keys in the files that it writes, such as `bert.`. */
  readonly keyPrefix: string;
  /** The tensors of a checkpoint in any published layout, by the names of `model`. Throws WeightsError where it holds none. */
  tensorsOf(checkpoint: TensorSource): TensorSource;
  /**
   * Last hidden states [P, N, width] of P encodings. `masked` is false for the unconditional text of guidance,
   * which diffusers' pipeline encodes without an attention mask. CLIP is never masked.
   */
  encode(gpu: Gpu, encodings: readonly Encoding[], options: { masked: boolean; dtype: Float }): Tensor;
  /** The same of token ids u32 [P, N] on the device, and of which are attended to, u32 [P, N] (absent: all). */
  forward(ids: Tensor, options: { mask?: Tensor; dtype: Float }): Tensor;
}

/**
 * The text encoder that a config.json of transformers or an open_clip_config.json describes.
 * Throws InputError for other kinds.
 */
export function createTextEncoder(file: string, config: Config): TextEncoderModel {
  if (config.model_cfg !== undefined) return clipEncoder(readOpenClipConfig(file, config));
  const kind = config.model_type ?? kindOfArchitecture(config.architectures);
  if (kind === "clip" || kind === "clip_text_model") return clipEncoder(readClipTextConfig(file, config));
  if (kind === "bert" || kind === "cxr-bert" || kind === "roberta") return bertEncoder(file, config);
  return new ConfigReader(file, config).fail("model_type", `is ${JSON.stringify(kind)}; supported: bert, cxr-bert, roberta, clip_text_model and clip`);
}

/** Configs of early versions of transformers name their class alone. */
function kindOfArchitecture(architectures: unknown): string | undefined {
  const name = Array.isArray(architectures) ? String(architectures[0]) : "";
  if (/^(CXR)?Bert/.test(name)) return "bert";
  return name.startsWith("CLIPText") ? "clip_text_model" : undefined;
}

const stack = (encodings: readonly Encoding[], pick: (encoding: Encoding) => Int32Array) => Uint32Array.from(encodings.flatMap((encoding) => [...pick(encoding)]));

/** The encoder of a model: encodings go through its forward pass. */
function textEncoder(facts: Omit<TextEncoderModel, "encode">): TextEncoderModel {
  return {
    ...facts,
    encode: (gpu, encodings, { masked, dtype }) =>
      gpu.scope("text", () => {
        const shape = [encodings.length, encodings[0].ids.length];
        const mask = masked ? gpu.tensor(stack(encodings, (encoding) => encoding.attentionMask), shape) : undefined;
        return facts.forward(gpu.tensor(stack(encodings, (encoding) => encoding.ids), shape), { mask, dtype });
      }),
  };
}

function bertEncoder(file: string, config: Config): TextEncoderModel {
  const model = new BertModel(readBertConfig(file, config));
  const { width, positions, padding } = model.config;
  const keyPrefix = padding === undefined ? "bert." : "roberta.";
  return textEncoder({ model, width, positions, keyPrefix, tensorsOf: bertTensors, forward: (ids, options) => model.forward(ids, options) });
}

function clipEncoder(config: ClipTextConfig): TextEncoderModel {
  const model = new ClipTextModel(config);
  const { width, positions } = config;
  return textEncoder({ model, width, positions, keyPrefix: "text_model.", tensorsOf: clipTensors, forward: (ids, { dtype }) => model.forward(ids, { dtype }) });
}
