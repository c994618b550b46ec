/**
 * The content of a diffusers `tokenizer/` folder, brought to the two objects that `@huggingface/tokenizers` takes.
 * Older published models have no tokenizer.json: it is then built from vocab.txt (BERT) or vocab.json and merges.txt
 * (CLIP, RoBERTa), with the settings that transformers' own conversion of slow tokenizers writes.
 */
import { InputError } from "../errors.ts";

/** The folder's files by name, or a function that reads one; undefined stands for a file that is not there. */
export type TokenizerFiles =
  | Readonly<Record<string, string | undefined>>
  | ((name: string) => string | undefined | Promise<string | undefined>);

/** The files that may be read. */
export const tokenizerFileNames: readonly string[] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt"];

/** What the tokenizer library takes: tokenizer.json, and tokenizer_config.json joined with special_tokens_map.json. */
export interface TokenizerSources {
  definition: object;
  config: Record<string, unknown>;
}

type Reader = (name: string) => Promise<string | undefined>;

/**
 * Reads the folder.
 * @param where the folder's name, for errors
 * @throws InputError where files are missing or are not what their names say
 */
export async function readTokenizerFiles(files: TokenizerFiles, where: string): Promise<TokenizerSources> {
  const read: Reader = async (name) => (typeof files === "function" ? files(name) : files[name]);
  const config = {
    ...(await readJson(read, where, "special_tokens_map.json")),
    ...(await readJson(read, where, "tokenizer_config.json")),
  };
  const definition =
    (await readJson(read, where, "tokenizer.json")) ??
    (await bertDefinition(read, where, config)) ??
    (await bytePairDefinition(read, where, config));
  if (!definition) {
    const fact = "has no tokenizer.json, no vocab.txt, and no vocab.json with merges.txt; copy the model's whole tokenizer folder";
    throw new InputError(where, fact);
  }
  return { definition, config };
}

/** The text of a special token, which config files write as a string or as an object; undefined where absent. */
export function specialToken(config: Record<string, unknown>, name: string): string | undefined {
  const value = config[name];
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

async function readJson(read: Reader, where: string, name: string): Promise<Record<string, unknown> | undefined> {
  const text = await read(name);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${where}/${name}`, "is not valid JSON; copy the file again", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InputError(`${where}/${name}`, "is not a JSON object; copy the file again");
  }
  return value as Record<string, unknown>;
}

/** BERT WordPiece from vocab.txt: one token a line, its id is the line's index. */
async function bertDefinition(read: Reader, where: string, config: Record<string, unknown>): Promise<object | undefined> {
  const text = await read("vocab.txt");
  if (text === undefined) return undefined;
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const vocab = Object.fromEntries(lines.map((token, id) => [token, id]));
  const token = (name: string, usual: string) => namedToken(config, vocab, name, usual, `${where}/vocab.txt`);
  const cls = token("cls_token", "[CLS]");
  const sep = token("sep_token", "[SEP]");
  const unknown = token("unk_token", "[UNK]");
  const others = [token("pad_token", "[PAD]"), token("mask_token", "[MASK]")];
  return {
    added_tokens: [cls, sep, unknown, ...others].map((added) => ({ ...added, special: true, normalized: false })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: config.tokenize_chinese_chars ?? true,
      strip_accents: config.strip_accents ?? null,
      lowercase: config.do_lower_case ?? true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", cls: [cls.content, cls.id], sep: [sep.content, sep.id] },
    decoder: { type: "WordPiece", prefix: "##" },
    model: {
      type: "WordPiece",
      unk_token: unknown.content,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** Byte-level BPE from vocab.json and merges.txt (a version line, then one pair a line, best first). */
async function bytePairDefinition(read: Reader, where: string, config: Record<string, unknown>): Promise<object | undefined> {
  const vocab = (await readJson(read, where, "vocab.json")) as Record<string, number> | undefined;
  const text = await read("merges.txt");
  if (!vocab || text === undefined) return undefined;
  const merges = text.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#version"));
  const token = (name: string, usual: string) => namedToken(config, vocab, name, usual, `${where}/vocab.json`);
  return "<s>" in vocab && !("<|startoftext|>" in vocab) ? robertaDefinition({ vocab, merges, token, config }) : clipDefinition({ vocab, merges, token, config });
}

/** Parts of a byte-level BPE. */
interface BytePairs {
  vocab: Record<string, number>;
  merges: string[];
  /** A special token by its name in the config, or as it is usually written. */
  token: (name: string, usual: string) => { content: string; id: number };
  config: Record<string, unknown>;
}

/** RoBERTa's: case is kept, and the space before a word belongs to it. */
function robertaDefinition({ vocab, merges, token, config }: BytePairs): object {
  const [start, end] = [token("cls_token", "<s>"), token("sep_token", "</s>")];
  const others = [token("pad_token", "<pad>"), token("unk_token", "<unk>"), token("mask_token", "<mask>")];
  const addPrefixSpace = config.add_prefix_space ?? false;
  return {
    added_tokens: [start, end, ...others].map((added) => ({ ...added, special: true, normalized: false, lstrip: added.content === "<mask>" })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: true },
    post_processor: { type: "RobertaProcessing", cls: [start.content, start.id], sep: [end.content, end.id], add_prefix_space: addPrefixSpace, trim_offsets: true },
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", continuing_subword_prefix: "", end_of_word_suffix: "", vocab, merges },
  };
}

/** CLIP's: lower case, and words end in `</w>`. */
function clipDefinition({ vocab, merges, token, config }: BytePairs): object {
  const start = token("bos_token", "<|startoftext|>");
  const end = token("eos_token", "<|endoftext|>");
  const letters = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
  return {
    added_tokens: [start, end].map((added) => ({ ...added, special: true, normalized: true })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: letters }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false },
      ],
    },
    post_processor: { type: "RobertaProcessing", cls: [start.content, start.id], sep: [end.content, end.id] },
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      unk_token: specialToken(config, "unk_token") ?? end.content,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      vocab,
      merges,
    },
  };
}

function namedToken(
  config: Record<string, unknown>,
  vocab: Record<string, number>,
  name: string,
  usual: string,
  where: string,
): { content: string; id: number } {
  const content = specialToken(config, name) ?? usual;
  const id = vocab[content];
  if (typeof id !== "number") {
    throw new InputError(where, `lacks the ${name} ${content}; the files of the tokenizer folder do not belong together`);
  }
  return { content, id };
}
