import type { LatentDiffusion } from "../models/ldm.ts";
import type { KeyValues } from "../models/transformer.ts";
import { copyInto } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { firstAlternative } from "../text/captions.ts";
import { type TokenChoice, chooseTokens } from "../text/token_choice.ts";
import type { Encoding } from "../text/tokenizer.ts";
import type { GroundSettings } from "./options.ts";

/** A phrase with its tokens and which of them were chosen. */
export interface PreparedPhrase {
  phrase: string;
  encoding: Encoding;
  choice: TokenChoice;
}

/** Tokenises a phrase and chooses its tokens. Throws InputError for an empty one. */
export async function preparePhrase(ldm: LatentDiffusion, phrase: string, settings: Pick<GroundSettings, "tokens" | "label" | "reading">): Promise<PreparedPhrase> {
  const text = firstAlternative(phrase);
  const encoding = ldm.tokenizer.encode(text);
  return { phrase: text, encoding, choice: await chooseTokens(text, encoding, settings) };
}

/** Texts as the U-Net reads them: the phrases, then the empty text of guidance. */
export interface EncodedTexts {
  keyValues: Map<string, KeyValues>;
  /** Index of the empty text. */
  unconditional: number;
  free(): void;
}

/** Encodes phrases (with attention mask) and the empty text (without), and projects them for every layer once. */
export function encodeTexts(ldm: LatentDiffusion, phrases: readonly Pick<PreparedPhrase, "encoding">[]): EncodedTexts {
  const { gpu, textEncoder, unet, dtype } = ldm;
  const keyValues = gpu.scope("texts", () => {
    const conditional = textEncoder.encode(gpu, phrases.map(({ encoding }) => encoding), { masked: true, dtype });
    const unconditional = textEncoder.encode(gpu, [ldm.tokenizer.encode("")], { masked: false, dtype });
    return unet.projectText(stackRows(conditional, unconditional));
  });
  const tensors = [...keyValues.values()].flatMap(({ k, v }) => [k, v]);
  return { keyValues, unconditional: phrases.length, free: () => tensors.forEach((tensor) => tensor.free()) };
}

/** Weights of the token sets of phrases, f32 [phrases + 1, sets, N], the last text (the empty one) without any. */
export function setWeights<P>(ldm: LatentDiffusion, phrases: readonly P[], sets: (phrase: P) => readonly (readonly number[] | Float32Array)[]): Tensor {
  const positions = ldm.tokenizer.length;
  const perPhrase = phrases.map(sets);
  const count = Math.max(...perPhrase.map((list) => list.length));
  const weights = new Float32Array((phrases.length + 1) * count * positions);
  for (const [p, list] of perPhrase.entries()) {
    for (const [s, set] of list.entries()) {
      const row = weights.subarray((p * count + s) * positions, (p * count + s + 1) * positions);
      if (set instanceof Float32Array) row.set(set);
      else for (const position of set) row[position] = 1 / set.length;
    }
  }
  return ldm.gpu.tensor(weights, [phrases.length + 1, count, positions]);
}

function stackRows(a: Tensor, b: Tensor): Tensor {
  const stacked = a.gpu.empty([a.shape[0] + b.shape[0], ...a.shape.slice(1)], a.dtype);
  copyInto(stacked, a, 0);
  copyInto(stacked, b, a.size);
  return stacked;
}
