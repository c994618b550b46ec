/**
 * Word pieces with the place in the text that each came from. The library's tokenizers give ids alone; its stages
 * (normaliser, pre-tokeniser, model) are run here one after the other with spans carried along.
 */
import { BPE, ByteLevelPreTokenizer, type Tokenizer, WordPiece } from "@huggingface/tokenizers";
import { InputError } from "../errors.ts";

/** Start and end in UTF-16 units of the original text, so that `text.slice(start, end)` is what was covered. */
export type Offset = [start: number, end: number];

/** One token of the text: its string in the vocabulary, its id, where it came from. */
export interface Piece {
  token: string;
  id: number;
  offset: Offset;
}

/** A string and, for each of its UTF-16 units, the span of the original text behind it. */
interface AlignedText {
  text: string;
  spans: Offset[];
}

/** Cuts a text into pieces (no start or end token, no limit on the number). */
export type Segmenter = (text: string) => Piece[];

/**
 * A segmenter over the stages of a loaded tokenizer.
 * @param where the tokenizer's name, for errors
 * @throws InputError for a tokenizer that is neither WordPiece nor byte-level BPE
 */
export function createSegmenter(tokenizer: Tokenizer, where: string): Segmenter {
  const { model } = tokenizer;
  const byteLevel = tokenizer.pre_tokenizer?.("é").join("") === "Ã©"; // its two UTF-8 bytes, one character each
  if (!(model instanceof WordPiece) && !(model instanceof BPE && byteLevel)) {
    throw new InputError(where, "is neither a WordPiece nor a byte-level BPE tokenizer; use a model with one of these");
  }
  const normalize = (text: string) => (tokenizer.normalizer ? tokenizer.normalizer(text) : text);
  const added = [...tokenizer.get_added_tokens_decoder().values()];
  const literal = splitter(added.filter((token) => !token.normalized).map((token) => token.content));
  const normalized = splitter(added.filter((token) => token.normalized).map((token) => normalize(token.content)));
  const idOf = new Map(added.flatMap(({ content, id }) => [[content, id], [normalize(content), id]] as const));

  const pieceOf = (token: string, offset: Offset): Piece => {
    const id = idOf.get(token) ?? tokenizer.token_to_id(token);
    if (id === undefined) throw new InputError(where, `has no id for ${token}; copy the tokenizer folder again`);
    return { token, id, offset };
  };

  const segmentWords = (aligned: AlignedText): Piece[] => {
    const units = byteLevel ? toByteLevel(aligned) : aligned;
    const pieces: Piece[] = [];
    let cursor = 0;
    for (const word of tokenizer.pre_tokenizer?.(aligned.text) ?? [aligned.text]) {
      const start = units.text.indexOf(word, cursor);
      if (start < 0) throw new InputError(where, `its pre-tokenizer changes the text (${word}), so pieces have no place in it`);
      cursor = start + word.length;
      const tokens = model([word]);
      const spans = surfaces(model, tokens, word).map(([from, to]) => covered(units, start + from, start + to));
      tokens.forEach((token, i) => pieces.push(pieceOf(token, spans[i])));
    }
    return pieces;
  };

  const whole = (part: AlignedText) => [pieceOf(part.text, covered(part, 0, part.text.length))];
  const segmentSection = (section: AlignedText): Piece[] =>
    normalized(normalizeAligned(section, normalize)).flatMap((part) => (part.isToken ? whole(part) : segmentWords(part)));

  return (text) =>
    literal(identity(text))
      .flatMap((section) => (section.isToken ? whole(section) : segmentSection(section)))
      .map((piece) => ({ ...piece, offset: trimmed(text, piece.offset) }));
}

function identity(text: string): AlignedText {
  return { text, spans: Array.from({ length: text.length }, (_, i): Offset => [i, i + 1]) };
}

/** Cuts an aligned text at special tokens that are written out in it. */
function splitter(contents: string[]): (aligned: AlignedText) => (AlignedText & { isToken: boolean })[] {
  if (contents.length === 0) return (aligned) => [{ ...aligned, isToken: false }];
  const longestFirst = [...contents].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(`(${longestFirst.map((content) => content.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|")})`);
  return ({ text, spans }) => {
    let cursor = 0;
    const parts = text.split(pattern).map((part, i) => {
      const from = cursor;
      cursor += part.length;
      return { text: part, spans: spans.slice(from, cursor), isToken: i % 2 === 1 };
    });
    return parts.filter((part) => part.text !== "");
  };
}

/**
 * Normalises character by character, so that everything that comes out knows what it came from. A character and its
 * combining marks, a run of Hangul letters or of white space stays together where its parts would come out otherwise.
 * Normalisers of BERT and CLIP look no further than that.
 */
function normalizeAligned(aligned: AlignedText, normalize: (text: string) => string): AlignedText {
  const result: AlignedText = { text: "", spans: [] };
  for (const { 0: cluster, index } of aligned.text.matchAll(/\s+|[\u1100-\u11ff]+|\P{M}\p{M}*|\p{M}+/gu)) {
    const characters = [...cluster];
    const apart = characters.map(normalize).join("") === normalize(cluster);
    let at = index;
    for (const part of apart ? characters : [cluster]) {
      append(result, normalize(part), covered(aligned, at, at + part.length));
      at += part.length;
    }
  }
  return result;
}

/** Rewrites a text as byte-level BPE sees it: one printable character for each UTF-8 byte. */
function toByteLevel(aligned: AlignedText): AlignedText {
  const encode = new ByteLevelPreTokenizer({ type: "ByteLevel", add_prefix_space: false, use_regex: false });
  const result: AlignedText = { text: "", spans: [] };
  let at = 0;
  for (const character of aligned.text) {
    append(result, encode(character).join(""), covered(aligned, at, at + character.length));
    at += character.length;
  }
  return result;
}

function append(target: AlignedText, text: string, span: Offset): void {
  target.text += text;
  for (let i = 0; i < text.length; i++) target.spans.push(span);
}

/** Start and end of each piece within its word; the whole word where a piece is the unknown token. */
function surfaces(model: WordPiece | BPE, tokens: string[], word: string): Offset[] {
  const prefix = "continuing_subword_prefix" in model.config ? (model.config.continuing_subword_prefix ?? "") : "";
  const suffix = model.end_of_word_suffix ?? "";
  let cursor = 0;
  const spans = tokens.map((token, i): Offset => {
    const start = cursor;
    const head = i > 0 && prefix !== "" && token.startsWith(prefix) ? prefix.length : 0;
    const tail = suffix !== "" && token.endsWith(suffix) ? suffix.length : 0;
    cursor += token.length - head - tail;
    return [start, cursor];
  });
  const known = !tokens.includes(model.unk_token ?? "") && cursor === word.length;
  return known ? spans : tokens.map((): Offset => [0, word.length]);
}

function covered({ spans }: AlignedText, start: number, end: number): Offset {
  return [spans[start][0], spans[end - 1][1]];
}

/** Without white space at the start, which byte-level BPE without word ends keeps in front of a word. */
function trimmed(text: string, [start, end]: Offset): Offset {
  const words = text.slice(start, end).trimStart().length;
  return words === 0 ? [start, end] : [end - words, end];
}
