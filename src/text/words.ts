/** Words of a phrase, and the word pieces (token positions) that belong to each. */
import type { Encoding } from "./tokenizer.ts";

/** A stretch of a phrase, in UTF-16 units. */
export interface Word {
  text: string;
  start: number;
  end: number;
}

/** The white-space-split words, punctuation included: "pneumothorax." is one word. */
export function splitWords(phrase: string): Word[] {
  return [...phrase.matchAll(/\S+/g)].map(({ 0: text, index }) => ({ text, start: index, end: index + text.length }));
}

/**
 * The words that carry a part of speech: split as ScispaCy's tokenizer splits, punctuation left out. Of a
 * white-space-split word the punctuation at either end goes; "right-sided", "RLL/RML" and "2.5" stay whole; numbers
 * part from their units ("3cm", "2-3"), "cannot" and "don't" from their negation; symbols ("<", "×") stand alone.
 */
export function lexicalUnits(phrase: string): Word[] {
  const parts = splitWords(phrase).flatMap((word) => splitAt(word, edges)).flatMap((part) => splitAt(part, infixes));
  return parts.filter(({ text }) => !/^\p{P}*$/u.test(text));
}

/**
 * For each word, the positions of the tokens that overlap it, in order; the start and end token and padding belong
 * to no word. A word that truncation cut off, or of which the tokenizer keeps nothing, has none.
 */
export function wordSets(encoding: Encoding, words: readonly Word[]): number[][] {
  return words.map(({ start, end }) => {
    const positions: number[] = [];
    for (let position = encoding.startIndex + 1; position < encoding.endIndex; position++) {
      const [from, to] = encoding.offsets[position];
      if (from < end && to > start) positions.push(position);
    }
    return positions;
  });
}

/** Punctuation and symbols at the start and end of a word, one by one. */
const edges = /(?<=^[\p{P}<>=+]*)([\p{P}<>=+])|([\p{P}<>=+])(?=[\p{P}<>=+]*$)/u;

/** Where a word falls apart within (separators captured; other alternatives have no width). */
const infixes = new RegExp(
  [
    "((?<=\\p{L})[,:<>=](?=\\p{L}))",
    "((?<=\\d)[-+*^](?=[\\d-]))",
    "((?<=\\p{L})(?:–|—|--+|~)(?=\\p{L}))",
    "((?<=\\p{Ll})\\.(?=\\p{Lu}))",
    "(×)",
    "(?<=\\d)(?=(?:cm|mm|km|m|ml|cc|mg|kg|g|kV|mAs)$)",
    "(?<=^[cC][aA][nN])(?=[nN][oO][tT]$)",
    "(?<=\\p{L})(?=n['’]t$)",
    "(?=['’]s$)",
  ].join("|"),
  "u",
);

function splitAt(word: Word, separator: RegExp): Word[] {
  let cursor = word.start;
  const parts = word.text.split(separator).filter((part) => part !== undefined && part !== "");
  return parts.map((text) => ({ text, start: cursor, end: (cursor += text.length) }));
}
