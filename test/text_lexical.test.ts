import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { lexicalWords } from "../src/text/lexical.ts";
import { tagWords } from "../src/text/tagger.ts";
import { lexicalUnits } from "../src/text/words.ts";
import { developmentPhrases, heldOutPhrases, type TaggedPhrase } from "./pos_phrases.ts";

const content = new Set(["ADJ", "NOUN", "VERB", "PROPN"]);

interface Score {
  words: number;
  /** Share of words kept or dropped as by hand, by the tagger alone and with the lexicon. */
  tagger: number;
  lexicon: number;
  /** Share of words with the very tag of the hand, with the lexicon. */
  tags: number;
  misses: string[];
}

async function score(phrases: readonly TaggedPhrase[]): Promise<Score> {
  const count = { words: 0, tagger: 0, lexicon: 0, tags: 0 };
  const misses: string[] = [];
  for (const [phrase, tags] of phrases) {
    const byHand = tags.split(" ");
    const alone = await tagWords(lexicalUnits(phrase).map((unit) => unit.text));
    const corrected = await lexicalWords(phrase);
    assert.equal(corrected.length, byHand.length, `the table has a tag for every word of "${phrase}"`);
    byHand.forEach((tag, i) => {
      count.words++;
      if (content.has(alone[i]) === content.has(tag)) count.tagger++;
      if (corrected[i].kept === content.has(tag)) count.lexicon++;
      else misses.push(`${corrected[i].word} (${corrected[i].pos}, by hand ${tag})`);
      if (corrected[i].pos === tag) count.tags++;
    });
  }
  const { words, tagger, lexicon, tags } = count;
  return { words, tagger: tagger / words, lexicon: lexicon / words, tags: tags / words, misses };
}

function print(t: TestContext, name: string, { words, tagger, lexicon, tags, misses }: Score): void {
  const [alone, both, exact] = [tagger, lexicon, tags].map((share) => `${(100 * share).toFixed(2)} %`);
  t.diagnostic(`${name}, ${words} words kept or dropped as by hand: tagger alone ${alone}, with lexicon ${both}; same tag ${exact}`);
  if (misses.length > 0) t.diagnostic(`${name}, misses: ${misses.join(", ")}`);
}

test("the development half: at least 99 % kept or dropped as by hand", async (t) => {
  const result = await score(developmentPhrases);
  print(t, "development half", result);
  assert.ok(result.lexicon >= 0.99);
  assert.ok(result.lexicon > result.tagger, "the lexicon helps");
});

test("the held-out half: at least 98.5 % kept or dropped as by hand", async (t) => {
  const result = await score(heldOutPhrases);
  print(t, "held-out half", result);
  assert.ok(result.lexicon >= 0.985);
});

test("the whole table: at least 99 % kept or dropped as by hand", async (t) => {
  const result = await score([...developmentPhrases, ...heldOutPhrases]);
  print(t, "whole table", result);
  assert.ok(developmentPhrases.length + heldOutPhrases.length >= 80);
  assert.ok(result.lexicon >= 0.99);
});

test("every word tells its tag, its place and why", async () => {
  const phrase = "No right-sided effusion.";
  const words = await lexicalWords(phrase);
  assert.deepEqual(words[0], { word: "No", start: 0, end: 2, pos: "DET", kept: false, why: "DET (tagger), no lexical meaning" });
  assert.deepEqual(words.map(({ start, end }) => phrase.slice(start, end)), ["No", "right-sided", "effusion"]);
  assert.equal((await lexicalWords("left lung"))[0].why, "ADJ (radiology lexicon)");
});

test("have is an auxiliary before a participle and a verb of its own before a noun", async () => {
  const tag = async (phrase: string) => (await lexicalWords(phrase))[1].pos;
  assert.equal(await tag("it has been removed"), "AUX");
  assert.equal(await tag("it has not yet cleared"), "AUX");
  assert.equal(await tag("lung has a nodule"), "VERB");
});

test("empty phrases, punctuation alone and odd characters are no trouble", async () => {
  assert.deepEqual(await lexicalWords(""), []);
  assert.deepEqual(await lexicalWords(" -- . "), []);
  for (const phrase of ["🫁 lung", "constructor __proto__", "a\u200bb", "x\u0301\u0302", "\ud800"]) {
    for (const { word, start, end, pos } of await lexicalWords(phrase)) {
      assert.equal(phrase.slice(start, end), word);
      assert.ok(pos);
    }
  }
});
