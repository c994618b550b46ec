/** Text to token ids: BERT WordPiece and CLIP byte-level BPE, padded and cut to the encoder's length. */
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { InputError } from "../errors.ts";
import { createSegmenter, type Offset } from "./piece_offsets.ts";
import { readTokenizerFiles, specialToken, type TokenizerFiles } from "./tokenizer_files.ts";

/** A phrase as the text encoder takes it. */
export interface Encoding {
  /** [N] token ids: start token, the text's pieces, end token, padding. */
  ids: Int32Array;
  /** [N] 1 for start token, pieces and end token, 0 for padding. */
  attentionMask: Int32Array;
  /** Tokens of the positions 0 to endIndex, as the vocabulary writes them. */
  tokens: string[];
  /** Where each of `tokens` came from, in UTF-16 units of the text; [0, 0] for the start and end token. */
  offsets: Offset[];
  /** Where the text was longer than N: what was cut off, and how many tokens that was. */
  truncated?: {
    /** The text from the first piece that was cut off. */
    cutText: string;
    /** How many pieces that was. */
    tokens: number;
  };
  /** Position of the start token. */
  startIndex: 0;
  /** Position of the end token: the text's pieces lie strictly between the two. */
  endIndex: number;
}

/** A loaded tokenizer. */
export interface Tokenizer {
  /** N: the positions of every encoding. */
  length: number;
  /** The ids of a text: its first N - 2 pieces between start and end token. */
  encode(text: string): Encoding;
}

/**
 * From here on a length is no N: tokenizers of BERT and RoBERTa state the positions that their encoders have, 512, and
 * transformers writes 1e30 where there is no limit. Diffusion models read fewer.
 */
const encoderLimit = 512;

/**
 * Loads the tokenizer of a text encoder.
 * @param files the content of a diffusers `tokenizer/` folder
 * @param options `where`: its name, for errors; `fallbackLength`: N where `model_max_length` is absent or the encoder's own limit: 77 in all published models
 * @throws InputError where files are missing, broken, or of another kind of tokenizer
 */
export async function loadTokenizer(
  files: TokenizerFiles,
  { where = "tokenizer", fallbackLength = 77 }: { where?: string; fallbackLength?: number } = {},
): Promise<Tokenizer> {
  const { definition, config } = await readTokenizerFiles(files, where);
  const library = openLibrary(definition, config, where);
  const segment = createSegmenter(library, where);
  const [start, end] = specialEnds(library, where);
  const pad = paddingId(library, config, where);
  const length = maximumLength(config, where) ?? fallbackLength;

  const encode = (text: string): Encoding => {
    const all = segment(text);
    const pieces = all.slice(0, length - 2);
    const endIndex = pieces.length + 1;
    const ids = new Int32Array(length).fill(pad);
    ids.set([start.id, ...pieces.map((piece) => piece.id), end.id]);
    const cut = all[pieces.length];
    return {
      ids,
      attentionMask: new Int32Array(length).fill(1, 0, endIndex + 1),
      tokens: [start.token, ...pieces.map((piece) => piece.token), end.token],
      offsets: [[0, 0], ...pieces.map((piece) => piece.offset), [0, 0]],
      truncated: cut && { cutText: text.slice(cut.offset[0]).trim(), tokens: all.length - pieces.length },
      startIndex: 0,
      endIndex,
    };
  };
  return { length, encode };
}

function openLibrary(definition: object, config: Record<string, unknown>, where: string): LibraryTokenizer {
  try {
    return new LibraryTokenizer(definition, config);
  } catch (cause) {
    throw new InputError(where, `cannot be read as a tokenizer (${(cause as Error).message}); copy the folder again`, { cause });
  }
}

function specialEnds(library: LibraryTokenizer, where: string): { token: string; id: number }[] {
  const { ids, tokens } = library.encode("");
  if (ids.length !== 2) {
    throw new InputError(where, `puts ${ids.length} special tokens around a text; a start and an end token are needed`);
  }
  return ids.map((id, i) => ({ id, token: tokens[i] }));
}

function paddingId(library: LibraryTokenizer, config: Record<string, unknown>, where: string): number {
  const named = specialToken(config, "pad_token");
  const candidates = named === undefined ? ["[PAD]", "<pad>", "<|endoftext|>"] : [named];
  const id = candidates.map((token) => library.token_to_id(token)).find((found) => found !== undefined);
  if (id !== undefined) return id;
  throw new InputError(where, `has no padding token (${candidates.join(", ")}) in its vocabulary; check pad_token in tokenizer_config.json`);
}

function maximumLength(config: Record<string, unknown>, where: string): number | undefined {
  const length = config.model_max_length;
  if (length === undefined || length === null || Number(length) >= encoderLimit) return undefined;
  if (!Number.isInteger(length) || Number(length) < 3) {
    throw new InputError(`${where}/tokenizer_config.json`, `model_max_length is ${String(length)}; it must be 3 or more`);
  }
  return Number(length);
}
