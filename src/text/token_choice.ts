/** Which token positions stand for a phrase: the three token choices of the paper, in both readings (method, section 5). */
import { InputError } from "../errors.ts";
import { diseaseQueries } from "./diseases.ts";
import { lexicalWords } from "./lexical.ts";
import type { Encoding } from "./tokenizer.ts";
import { lexicalUnits, splitWords, type Word, wordSets } from "./words.ts";

/** How to choose. `label` is the disease of `tokens: "disease"`; `compat` reads as the published code does. */
export interface TokenChoiceOptions {
  tokens: "lexical" | "disease" | "all";
  label?: string;
  reading: "paper" | "compat";
}

/** One word of the phrase, its token positions, and whether it takes part. */
export interface ChosenWord {
  text: string;
  pieces: number[];
  kept: boolean;
  why: string;
}

/** The choice. */
export interface TokenChoice {
  /** Token positions, one set a map; maps of several sets (one a match of a disease's words) are averaged. */
  sets: number[][];
  /** [N] the weight of every position in that average; they add up to 1. */
  weights: Float32Array;
  /** All words of the phrase in their order, as the filter counts them. */
  words: ChosenWord[];
  /** What the reader of the map should know: words that were cut, filters that found nothing. */
  note?: string;
}

/** Characters; taggers of English need time that grows with the square of a word. */
const longestPhrase = 10_000;

/** What a filter found; `nothing` says what was looked for in vain where there are no sets. */
interface Filtered {
  sets: number[][];
  words: ChosenWord[];
  nothing: string;
  notes?: string[];
}

/**
 * Chooses the tokens of a phrase. Start token, end token and padding never take part. A filter that finds nothing
 * gives way to all tokens, and the note says so.
 * @param phrase the text that `encoding` was made from (the first alternative of a caption)
 * @throws InputError for a phrase that is empty, endless, or nothing to the tokenizer, and for an unknown label
 */
export async function chooseTokens(phrase: string, encoding: Encoding, options: TokenChoiceOptions): Promise<TokenChoice> {
  if (phrase.trim() === "") throw new InputError("--phrase", "is empty; say what to look for");
  if (phrase.length > longestPhrase) {
    throw new InputError("--phrase", `has ${phrase.length} characters; ${longestPhrase} is the most, and the encoder reads far fewer`);
  }
  const everything = Array.from({ length: encoding.endIndex - 1 }, (_, i) => i + 1);
  if (everything.length === 0) {
    throw new InputError("--phrase", `${JSON.stringify(phrase)} holds nothing that the tokenizer keeps; use words`);
  }
  const filtered = options.tokens === "all" ? undefined : await applyFilter(phrase, encoding, options);
  const found = filtered !== undefined && filtered.sets.length > 0;
  const sets = found ? filtered.sets : [everything];
  const words = found ? filtered.words : chosenWords(encoding, splitWords(phrase), () => [true, "all tokens are used"]);
  const notes = [...truncation(encoding), ...(filtered?.notes ?? [])];
  if (filtered && !found) notes.push(`${filtered.nothing} in the phrase: all tokens are used`);
  return { sets, weights: averagingWeights(sets, encoding.ids.length), words, note: notes.join("; ") || undefined };
}

async function applyFilter(phrase: string, encoding: Encoding, { tokens, label, reading }: TokenChoiceOptions): Promise<Filtered> {
  if (tokens === "lexical") {
    return reading === "paper" ? lexicalFilter(phrase, encoding) : lexicalFilterCompat(phrase, encoding);
  }
  const queries = diseaseQueries(label);
  return reading === "paper" ? diseaseFilter(phrase, encoding, queries) : diseaseFilterCompat(phrase, encoding, queries);
}

/** All word pieces of the adjectives, nouns and verbs. */
async function lexicalFilter(phrase: string, encoding: Encoding): Promise<Filtered> {
  const tagged = await lexicalWords(phrase);
  const units = tagged.map(({ word, start, end }) => ({ text: word, start, end }));
  const words = chosenWords(encoding, units, (i) => [tagged[i].kept, tagged[i].why]);
  const positions = new Set(words.filter((word) => word.kept).flatMap((word) => word.pieces));
  return { sets: oneSet([...positions]), words, nothing: noContent };
}

/**
 * The published code's reading: parts of speech are indexed over the phrase without punctuation, but their indices are
 * looked up among the white-space-split words, and of each word the first piece alone is used. Where the two ways of
 * counting differ ("3cm" counts twice there and once here; a lone dash the other way round) a neighbour is hit.
 * An index past the last word, where that code reads the end token or fails, is dropped.
 */
async function lexicalFilterCompat(phrase: string, encoding: Encoding): Promise<Filtered> {
  const tagged = await lexicalWords(phrase);
  const split = splitWords(phrase);
  const words = chosenWords(encoding, split, (i, text) => {
    if (i >= tagged.length) return [false, "past the last word without punctuation"];
    const { kept, word, why } = tagged[i];
    return [kept, text.includes(word) ? why : `counted as "${word}": ${why}`];
  });
  const positions = words.filter((word) => word.kept).map((word) => word.pieces[0]);
  const beyond = tagged.slice(split.length).filter((word) => word.kept).map((word) => word.word);
  const notes = beyond.length > 0 ? [`counted past the last word and dropped: ${beyond.join(", ")}`] : [];
  return { sets: oneSet(positions), words, nothing: noContent, notes };
}

const noContent = "no adjective, noun or verb";

function oneSet(positions: number[]): number[][] {
  return positions.length > 0 ? [positions] : [];
}

/** One set for each word, without the punctuation at its ends, that contains a query word. */
function diseaseFilter(phrase: string, encoding: Encoding, queries: readonly string[]): Filtered {
  const words = chosenWords(encoding, lexicalUnits(phrase), (_, text) => queryMatch(text, queries));
  const sets = words.filter((word) => word.kept).map((word) => word.pieces);
  return { sets, words, nothing: `none of ${queries.join(", ")}` };
}

/** The published code's matches: white-space-split words with their punctuation, once for every query word within. */
function diseaseFilterCompat(phrase: string, encoding: Encoding, queries: readonly string[]): Filtered {
  const words = chosenWords(encoding, splitWords(phrase), (_, text) => queryMatch(text, queries));
  const matches = queries.flatMap((query) => words.filter(({ text, kept }) => kept && contains(text, query)));
  return { sets: matches.map((word) => word.pieces), words, nothing: `none of ${queries.join(", ")}` };
}

function queryMatch(text: string, queries: readonly string[]): [kept: boolean, why: string] {
  const query = queries.find((candidate) => contains(text, candidate));
  return query ? [true, `contains "${query}"`] : [false, "not a word of the disease"];
}

function contains(text: string, query: string): boolean {
  return text.toLowerCase().includes(query);
}

/** Joins words with their pieces; a word without pieces never takes part. */
function chosenWords(
  encoding: Encoding,
  words: readonly Word[],
  decide: (index: number, text: string) => [kept: boolean, why: string],
): ChosenWord[] {
  const sets = wordSets(encoding, words);
  return words.map(({ text, start }, i) => {
    const pieces = sets[i];
    if (pieces.length > 0) {
      const [kept, why] = decide(i, text);
      return { text, pieces, kept, why };
    }
    const isCut = encoding.truncated !== undefined && start >= encoding.offsets[encoding.endIndex - 1][1];
    return { text, pieces, kept: false, why: isCut ? "cut off: the phrase is too long" : "nothing that the tokenizer keeps" };
  });
}

function truncation({ truncated, ids }: Encoding): string[] {
  if (!truncated) return [];
  const { tokens, cutText } = truncated;
  const shown = cutText.length > 200 ? `${cutText.slice(0, 200)}…` : cutText;
  return [`the phrase has ${tokens} tokens more than the encoder's ${ids.length - 2}; cut off: "${shown}"`];
}

function averagingWeights(sets: readonly number[][], length: number): Float32Array {
  const weights = new Float32Array(length);
  for (const set of sets) {
    for (const position of set) weights[position] += 1 / (set.length * sets.length);
  }
  return weights;
}
