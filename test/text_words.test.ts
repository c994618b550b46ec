import assert from "node:assert/strict";
import { test } from "node:test";
import { alternatives, firstAlternative } from "../src/text/captions.ts";
import { phraseSlug } from "../src/text/phrase_slug.ts";
import { loadTokenizer } from "../src/text/tokenizer.ts";
import { lexicalUnits, splitWords, wordSets } from "../src/text/words.ts";

test("white-space-split words keep their punctuation and know their place", () => {
  assert.deepEqual(splitWords(" Small,  left\teffusion. "), [
    { text: "Small,", start: 1, end: 7 },
    { text: "left", start: 9, end: 13 },
    { text: "effusion.", start: 14, end: 23 },
  ]);
});

test("words that carry a part of speech are split as ScispaCy splits them", () => {
  const cases: [string, string][] = [
    ["(small) left, effusion.", "small left effusion"],
    ["right-sided RLL/RML opacity - stable", "right-sided RLL/RML opacity stable"],
    ["3cm 2-3 mm 18-mm 2.5 50%", "3 cm 2 3 mm 18-mm 2.5 50"],
    ["<5mm 3.5×2cm 2 x 3", "< 5 mm 3.5 × 2 cm 2 x 3"],
    ["cannot don't patient's", "can not do n't patient 's"],
    ["upper,lower right–sided effusion.Small", "upper lower right sided effusion Small"],
    ["... -- ?", ""],
  ];
  for (const [phrase, units] of cases) {
    const found = lexicalUnits(phrase);
    assert.equal(found.map((unit) => unit.text).join(" "), units);
    for (const { text, start, end } of found) assert.equal(phrase.slice(start, end), text);
  }
});

test("word pieces are joined to words by their offsets; cut words have none", async () => {
  const vocabulary = "[PAD] [UNK] [CLS] [SEP] [MASK] left pneumo ##thorax . lung".split(" ").join("\n");
  const tokenizer = await loadTokenizer({ "vocab.txt": vocabulary, "tokenizer_config.json": '{"model_max_length": 7}' });
  const phrase = "Left pneumothorax. left lung";
  const encoding = tokenizer.encode(phrase);
  assert.deepEqual(wordSets(encoding, splitWords(phrase)), [[1], [2, 3, 4], [5], []]);
  assert.deepEqual(wordSets(encoding, lexicalUnits(phrase)), [[1], [2, 3], [5], []]);
});

test("captions hold alternatives", () => {
  assert.deepEqual(alternatives("left effusion | right effusion||"), ["left effusion", "right effusion"]);
  assert.equal(firstAlternative("left effusion | right effusion"), "left effusion");
  assert.equal(firstAlternative("| right effusion"), "");
  assert.deepEqual(alternatives(" "), []);
});

test("slugs read like the phrase", () => {
  assert.equal(phraseSlug("small left pleural effusion"), "small-left-pleural-effusion");
  assert.equal(phraseSlug("Large right apical pneumothorax."), "large-right-apical-pneumothorax");
  assert.equal(phraseSlug("RLL/RML opacity, 3.5cm"), "rll-rml-opacity-3-5cm");
});

test("slugs are never empty, never long, never more than ASCII, and differ where letters were lost", () => {
  const long = "opacity ".repeat(50);
  const phrases = ["", "...", "../..", "中文", "肺", "café", "cafe", "naïve", `${long}left`, `${long}right`, "🫁", "\u0000"];
  const slugs = phrases.map(phraseSlug);
  for (const slug of slugs) assert.match(slug, /^[a-z0-9](?:[a-z0-9-]{0,67}[a-z0-9])?$/);
  assert.equal(new Set(slugs).size, slugs.length);
  assert.equal(slugs[6], "cafe");
  assert.match(slugs[5], /^cafe-[0-9a-f]{8}$/);
});
