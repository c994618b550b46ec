import type { Gpu } from "../gpu/gpu.ts";
import type { Float } from "../ops/check.ts";
import type { Tensor } from "../tensor.ts";
import type { Encoding } from "../text/tokenizer.ts";
import { BertModel, readBertConfig } from "./bert.ts";
import { ClipTextModel, readClipTextConfig } from "./clip.ts";
import { type Config, ConfigReader } from "../config.ts";
import type { Model } from "./parameters.ts";

/** A text encoder as a latent diffusion model uses it. */
export interface TextEncoderModel {
  readonly model: Model;
  /** Channels of its output. */
  readonly width: number;
  /** Positions that it has: the longest sequence it takes. */
  readonly positions: number;
  /** Prefixes that published checkpoints put before its keys. */
  readonly prefixes: readonly string[];
  /**
   * Last hidden states [P, N, width] of P encodings. `masked` is false for the unconditional text of guidance,
   * which diffusers' pipeline encodes without an attention mask. CLIP is never masked.
   */
  encode(gpu: Gpu, encodings: readonly Encoding[], options: { masked: boolean; dtype: Float }): Tensor;
  /** The same of token ids u32 [P, N] on the device, and of which are attended to, u32 [P, N] (absent: all). */
  forward(ids: Tensor, options: { mask?: Tensor; dtype: Float }): Tensor;
}

/** The text encoder that a text_encoder/config.json describes. Throws InputError for other kinds. */
export function createTextEncoder(file: string, config: Config): TextEncoderModel {
  const architectures = Array.isArray(config.architectures) ? config.architectures.join(" ") : "";
  const kind = `${String(config.model_type ?? "")} ${architectures}`.toLowerCase();
  if (kind.includes("clip_text") || kind.includes("cliptext")) return clipEncoder(file, config);
  if (kind.includes("bert")) return bertEncoder(file, config);
  return new ConfigReader(file, config).fail("model_type", `is ${JSON.stringify(config.model_type)}; supported: bert and clip_text_model`);
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
  const { width, positions } = model.config;
  return textEncoder({ model, width, positions, prefixes: ["bert.", "", "text_encoder.", "model."], forward: (ids, options) => model.forward(ids, options) });
}

function clipEncoder(file: string, config: Config): TextEncoderModel {
  const model = new ClipTextModel(readClipTextConfig(file, config));
  const { width, positions } = model.config;
  return textEncoder({ model, width, positions, prefixes: ["text_model.", ""], forward: (ids, { dtype }) => model.forward(ids, { dtype }) });
}
