/**
 * Which words of a phrase have lexical meaning: adjectives, nouns and verbs, "since only words with lexical meanings
 * can be mapped to image regions" (Generate to Ground, section 2.2). The paper tags with ScispaCy; here a tagger of
 * general English is corrected by a radiology lexicon.
 */
import type { PartOfSpeech } from "wink-nlp";
import { radiologyLexicon } from "./radiology_lexicon.ts";
import { tagWords } from "./tagger.ts";
import { lexicalUnits, type Word } from "./words.ts";

/** A word of a phrase (punctuation removed) with its part of speech and what follows from it. */
export interface LexicalWord {
  word: string;
  /** Place in the phrase, in UTF-16 units. */
  start: number;
  end: number;
  /** Universal POS tag; proper nouns count as NOUN. */
  pos: PartOfSpeech;
  kept: boolean;
  /** Tag and source in words, for reports. */
  why: string;
}

const contentTags: ReadonlySet<PartOfSpeech> = new Set(["ADJ", "NOUN", "VERB"]);

/** Tags a phrase and keeps ADJ, NOUN and VERB. An empty phrase gives an empty list. */
export async function lexicalWords(phrase: string): Promise<LexicalWord[]> {
  const units = lexicalUnits(phrase);
  // Lower case: a capital, at the start of a sentence or in a heading, makes the tagger see a name.
  const tags = await tagWords(units.map((unit) => unit.text.toLowerCase()));
  return units.map((unit, i) => lexicalWord(unit, tags[i], tags.slice(i + 1)));
}

function lexicalWord({ text, start, end }: Word, tagged: PartOfSpeech, following: PartOfSpeech[]): LexicalWord {
  const known = radiologyLexicon.get(text.toLowerCase());
  const pos = known ?? corrected(text.toLowerCase(), tagged, following);
  const kept = contentTags.has(pos);
  const source = known ? "radiology lexicon" : "tagger";
  return { word: text, start, end, pos, kept, why: `${pos} (${source})${kept ? "" : ", no lexical meaning"}` };
}

/** The tagger's tag, corrected by rule where no list of words could. */
function corrected(word: string, tagged: PartOfSpeech, following: PartOfSpeech[]): PartOfSpeech {
  if (/^[^\p{L}\p{N}]+$/u.test(word)) return "SYM";
  if (/^\d+(?:st|nd|rd|th)$/.test(word)) return "ADJ";
  if (/^(?:has|have|had)$/.test(word)) return startsWithVerb(following) ? "AUX" : "VERB";
  if (tagged === "PROPN") return "NOUN";
  const isCompound = /\p{L}-\p{L}/u.test(word);
  return isCompound && tagged !== "NOUN" ? "ADJ" : tagged; // "plate-like", "right-sided"
}

/** True for "been removed" and "not yet resolved", false for "a nodule". */
function startsWithVerb(tags: PartOfSpeech[]): boolean {
  const first = tags.find((tag) => tag !== "ADV" && tag !== "PART");
  return first === "VERB" || first === "AUX";
}
