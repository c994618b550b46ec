import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { InputError } from "../src/errors.ts";
import { chooseTokens, type TokenChoiceOptions } from "../src/text/token_choice.ts";
import { loadTokenizer, type Tokenizer } from "../src/text/tokenizer.ts";
import { needsShared, sharedPath } from "./shared.ts";

const lexical = { tokens: "lexical", reading: "paper" } as const;
const lexicalCompat = { tokens: "lexical", reading: "compat" } as const;

function loadShared(folder: string): Promise<Tokenizer> {
  return loadTokenizer((name) => {
    const path = `${sharedPath(folder)}/${name}`;
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  });
}

/** A tokenizer whose vocabulary has these words whole, "pneumothorax" in two pieces, N positions. */
function loadSmall(N = 32): Promise<Tokenizer> {
  const words = "[PAD] [UNK] [CLS] [SEP] [MASK] . , - / 3 ##cm small left right pleural effusion effusions opacity pneumo ##thorax no there is of the and not";
  return loadTokenizer({ "vocab.txt": words.split(" ").join("\n"), "tokenizer_config.json": `{"model_max_length": ${N}}` });
}

async function choose(phrase: string, options: TokenChoiceOptions, N?: number) {
  const choice = await chooseTokens(phrase, (await loadSmall(N)).encode(phrase), options);
  const total = choice.weights.reduce((sum, weight) => sum + weight, 0);
  assert.ok(Math.abs(total - 1) < 1e-6, "weights add up to 1");
  return choice;
}

test("the kept tokens of the main job's goldens, in both readings", needsShared("goldens/ground.json"), async () => {
  const tokenizer = await loadShared("goldens/tiny_ldm/tokenizer");
  const { cases } = JSON.parse(readFileSync(sharedPath("goldens/ground.json")!, "utf8"));
  for (const { phrase, tokens, kept_words, token_indices, first_piece_indices } of cases) {
    const encoding = tokenizer.encode(phrase);
    assert.deepEqual(encoding.tokens, tokens);
    const paper = await chooseTokens(phrase, encoding, lexical);
    assert.deepEqual(paper.sets, [token_indices]);
    assert.deepEqual(paper.words.flatMap((word, i) => (word.kept ? [i] : [])), kept_words);
    assert.deepEqual((await chooseTokens(phrase, encoding, lexicalCompat)).sets, [first_piece_indices]);
  }
});

test("the kept tokens of the phantom's reference", needsShared("phantom/reference.safetensors"), async () => {
  const tokenizer = await loadShared("phantom/model/tokenizer");
  const file = readFileSync(sharedPath("phantom/reference.safetensors")!);
  const header = JSON.parse(file.toString("utf8", 8, 8 + Number(file.readBigUInt64LE(0))));
  const phrases: string[] = JSON.parse(header.__metadata__.phrases);
  const kept: number[][] = JSON.parse(header.__metadata__.kept_token_indices);
  for (const [i, phrase] of phrases.entries()) {
    assert.deepEqual((await chooseTokens(phrase, tokenizer.encode(phrase), lexical)).sets, [kept[i]], phrase);
  }
});

test("paper keeps all pieces of a word and no punctuation; compat the first piece", async () => {
  const phrase = "No pneumothorax, small effusion.";
  assert.deepEqual((await choose(phrase, lexical)).sets, [[2, 3, 5, 6]]);
  const { sets, words, note } = await choose(phrase, lexicalCompat);
  assert.deepEqual(sets, [[2, 5, 6]]);
  assert.deepEqual(words.map((word) => word.pieces), [[1], [2, 3, 4], [5], [6, 7]]);
  assert.equal(note, undefined);
});

test("compat counts tags without punctuation and looks them up among white-space-split words", async () => {
  // Without punctuation: opacity, of, left (0, 1, 2); split at white space: opacity, -, of, left (0, 1, 2, 3).
  const dash = await choose("opacity - of left", lexicalCompat);
  assert.deepEqual(dash.sets, [[1, 3]]);
  assert.match(dash.words[2].why, /counted as "left"/);
  assert.equal(dash.words[3].kept, false);
  assert.deepEqual((await choose("opacity - of left", lexical)).sets, [[1, 4]]);
  // Without punctuation: 3, cm, of, opacity; split: 3cm, of, opacity: the tag of cm hits "of", that of opacity nothing.
  const measure = await choose("3cm of opacity", lexicalCompat);
  assert.deepEqual(measure.sets, [[3]]);
  assert.match(measure.note ?? "", /counted past the last word and dropped: opacity/);
});

test("disease filtering gives one set a match, weighted as their average", async () => {
  const options = { tokens: "disease", label: "pleural_effusion", reading: "paper" } as const;
  const { sets, weights, words } = await choose("Small left pleural effusions.", options);
  assert.deepEqual(sets, [[3], [4]]);
  assert.deepEqual([...weights.slice(0, 7)], [0, 0, 0, 0.5, 0.5, 0, 0]);
  assert.equal(words[3].why, 'contains "effusion"');
  const pneumothorax = await choose("right pneumothorax, no effusion", { ...options, label: "PNEUMOTHORAX" });
  assert.deepEqual(pneumothorax.sets, [[2, 3]]);
});

test("disease filtering in compat counts a word once for each query word and takes its punctuation along", async () => {
  const { sets } = await choose("left pleural effusions.", { tokens: "disease", label: "Pleural Effusion", reading: "compat" });
  assert.deepEqual(sets, [[2], [3, 4], [3, 4]]);
});

test("filters that find nothing use all tokens and say so", async () => {
  const none = await choose("small left opacity.", { tokens: "disease", label: "Edema", reading: "paper" });
  assert.deepEqual(none.sets, [[1, 2, 3, 4]]);
  assert.equal(none.note, "none of edema in the phrase: all tokens are used");
  for (const options of [lexical, lexicalCompat]) {
    const empty = await choose("there is no", options);
    assert.deepEqual(empty.sets, [[1, 2, 3]]);
    assert.match(empty.note ?? "", /no adjective, noun or verb in the phrase: all tokens are used/);
    assert.ok(empty.words.every((word) => word.kept));
  }
});

test("all tokens are those between start and end", async () => {
  const { sets, note } = await choose("No effusion.", { tokens: "all", reading: "paper" });
  assert.deepEqual(sets, [[1, 2, 3]]);
  assert.equal(note, undefined);
});

test("what truncation cut takes no part and is named", async () => {
  for (const options of [lexical, lexicalCompat]) {
    const { sets, words, note } = await choose("small left pneumothorax and right effusion", options, 6);
    assert.deepEqual(sets, [options.reading === "paper" ? [1, 2, 3, 4] : [1, 2, 3]]);
    assert.deepEqual(words.slice(3).map(({ kept, why }) => [kept, why]), Array(3).fill([false, "cut off: the phrase is too long"]));
    assert.equal(note, `the phrase has 3 tokens more than the encoder's 4; cut off: "and right effusion"`);
  }
});

test("phrases and labels that cannot be used are refused in one line", async () => {
  const disease = { tokens: "disease", reading: "paper" } as const;
  const refused: [string, TokenChoiceOptions, RegExp][] = [
    ["", lexical, /^--phrase: is empty/],
    [" \t", lexical, /^--phrase: is empty/],
    ["\u200b", lexical, /^--phrase: .* holds nothing that the tokenizer keeps/],
    ["lung ".repeat(3000), lexical, /^--phrase: has 15000 characters; 10000 is the most/],
    ["small effusion", { ...disease, label: "Cancer" }, /^--label: Cancer is not a known label; use one of Atelectasis, .*Pneumothorax$/],
    ["small effusion", disease, /^--label: is missing/],
  ];
  for (const [phrase, options, message] of refused) {
    await assert.rejects(choose(phrase, options), (error: Error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, message);
      return true;
    });
  }
});
