import { readJson, readText } from "../weights/byte_source.ts";
import { type Tokenizer, loadTokenizer } from "../text/tokenizer.ts";
import { type Golden, type VerifyContext, companion } from "./context.ts";
import { type Part, exactPart } from "./parts.ts";

/** One text of tokenizer_*.json. */
interface TokenizerCase {
  text: string;
  input_ids: number[];
  attention_mask?: number[];
  /** In code points. */
  offsets?: [number, number][];
}

/** The tokenizer of a companion folder. */
export function companionTokenizer(context: VerifyContext, path: string): Promise<Tokenizer> {
  const folder = companion(context, path);
  return loadTokenizer(async (name) => ((await folder.has(name)) ? readText(folder, name) : undefined), { where: folder.name });
}

/** Strings that break tokenizers: ids, masks and offsets are exact. */
export const tokenizerGoldens: readonly Golden[] = [
  tokenizerGolden("tokenizer_wordpiece", "tiny_ldm/tokenizer"),
  tokenizerGolden("tokenizer_clip", "clip_tokenizer"),
];

function tokenizerGolden(name: string, folder: string): Golden {
  return {
    name,
    paths: [`${name}.json`],
    async run(context, path) {
      const tokenizer = await companionTokenizer(context, folder);
      const cases = (await readJson(context.folder, path)) as TokenizerCase[];
      return cases.flatMap((golden) => tokenizerParts(tokenizer, golden));
    },
  };
}

function tokenizerParts(tokenizer: Tokenizer, { text, input_ids, attention_mask, offsets }: TokenizerCase): Part[] {
  const encoding = tokenizer.encode(text);
  const what = JSON.stringify(text.length > 30 ? `${text.slice(0, 30)}…` : text);
  return [
    exactPart(`${what} ids`, encoding.ids, input_ids),
    ...(attention_mask ? [exactPart(`${what} mask`, encoding.attentionMask, attention_mask)] : []),
    ...(offsets ? [exactPart(`${what} offsets`, encoding.offsets, toUnits(text, offsets))] : []),
  ];
}

/** Offsets in code points as offsets in UTF-16 units. */
function toUnits(text: string, offsets: readonly [number, number][]): [number, number][] {
  const units = [0];
  for (const character of text) units.push(units[units.length - 1] + character.length);
  return offsets.map(([start, end]) => [units[start], units[end]]);
}
