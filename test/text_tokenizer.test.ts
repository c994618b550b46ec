import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { InputError } from "../src/errors.ts";
import { loadTokenizer } from "../src/text/tokenizer.ts";
import { needsShared, sharedPath } from "./shared.ts";

interface Golden {
  text: string;
  input_ids: number[];
  attention_mask?: number[];
  offsets?: [number, number][];
}

const goldens = [
  { folder: "goldens/tiny_ldm/tokenizer", file: "goldens/tokenizer_wordpiece.json" },
  { folder: "goldens/clip_tokenizer", file: "goldens/tokenizer_clip.json" },
];

/** Reads a shared tokenizer folder, without the files named in `absent`. */
function folderReader(folder: string, absent: string[] = []): (name: string) => string | undefined {
  return (name) => {
    const path = `${sharedPath(folder)}/${name}`;
    return absent.includes(name) || !existsSync(path) ? undefined : readFileSync(path, "utf8");
  };
}

/** The goldens count offsets in code points, this library in UTF-16 units. */
function toUnits(text: string, offsets: [number, number][]): [number, number][] {
  const units = [0];
  for (const character of text) units.push(units[units.length - 1] + character.length);
  return offsets.map(([start, end]) => [units[start], units[end]]);
}

for (const { folder, file } of goldens) {
  for (const absent of [[], ["tokenizer.json"]]) {
    const how = absent.length > 0 ? "built from the vocabulary files" : "from tokenizer.json";
    test(`${file}, ${how}: ids, mask and offsets are exact`, needsShared(file), async () => {
      const tokenizer = await loadTokenizer(folderReader(folder, absent));
      const cases: Golden[] = JSON.parse(readFileSync(sharedPath(file)!, "utf8"));
      for (const { text, input_ids, attention_mask, offsets } of cases) {
        const encoding = tokenizer.encode(text);
        assert.deepEqual([...encoding.ids], input_ids, text);
        assert.equal(encoding.tokens.length, encoding.endIndex + 1);
        if (attention_mask) assert.deepEqual([...encoding.attentionMask], attention_mask, text);
        if (offsets) assert.deepEqual(encoding.offsets, toUnits(text, offsets), text);
      }
    });
  }
}

test("byte-level pieces lie in order and leave out white space alone", needsShared(goldens[1].folder), async () => {
  const tokenizer = await loadTokenizer(folderReader(goldens[1].folder));
  const text = "Small  café effusion 🫁";
  const { offsets, endIndex } = tokenizer.encode(text);
  const pieces = offsets.slice(1, endIndex);
  pieces.slice(1).forEach(([start], i) => assert.ok(start >= pieces[i][0]));
  const uncovered = [...text].filter((_, i) => !pieces.some(([start, end]) => start <= i && i < end));
  assert.deepEqual(uncovered, [" ", " ", " ", " "]);
});

/** A vocabulary small enough to be read here. */
const smallBert = {
  "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nlung\neffusion\n##s\n",
  "tokenizer_config.json": '{"model_max_length": 6, "do_lower_case": true}',
};

/** RoBERTa's form, over the letters that the texts below need: Ġ stands for a space before a word. */
const smallRoberta = {
  "vocab.json": JSON.stringify({ "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, l: 5, u: 6, n: 7, g: 8, s: 9, L: 10, "Ġ": 11, lu: 12, ng: 13, lung: 14, "Ġl": 15, "Ġlung": 16, "Ã": 17, "©": 18, "Ġlu": 19 }),
  "merges.txt": "#version: 0.2\nl u\nn g\nlu ng\nĠ l\nĠ lung\n",
  "tokenizer_config.json": '{"model_max_length": 512, "tokenizer_class": "RobertaTokenizer"}',
};

test("RoBERTa's tokenizer keeps case, takes the space to the word, and its 512 positions are no N", async () => {
  const tokenizer = await loadTokenizer(smallRoberta);
  assert.equal(tokenizer.length, 77);
  const { ids, attentionMask, offsets, tokens } = tokenizer.encode("lung Lung lungs é");
  assert.deepEqual([...ids].slice(0, 12), [0, 14, 11, 10, 6, 13, 16, 9, 11, 17, 18, 2]);
  assert.ok([...ids].slice(12).every((id) => id === 1));
  assert.equal(attentionMask.indexOf(0), 12);
  assert.deepEqual(tokens.slice(5, 8), ["ng", "Ġlung", "s"]);
  assert.deepEqual(offsets.slice(1, 8), [[0, 4], [4, 5], [5, 6], [6, 7], [7, 9], [10, 14], [14, 15]]);
});

/** A kind of tokenizer that no text encoder here uses. */
const unigram = JSON.stringify({
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: "Unigram", unk_id: 0, vocab: [["<unk>", 0], ["lung", -1]] },
});

test("a long text is cut, and what was cut is told", async () => {
  const tokenizer = await loadTokenizer(smallBert);
  const encoding = tokenizer.encode("Lung effusions lung lungs");
  assert.deepEqual([...encoding.ids], [2, 5, 6, 7, 5, 3]);
  assert.deepEqual(encoding.truncated, { cutText: "lungs", tokens: 2 });
  assert.equal(encoding.endIndex, 5);
  assert.equal(tokenizer.encode("lung").truncated, undefined);
});

test("the empty text is start, end and padding", async () => {
  const { ids, attentionMask, endIndex } = (await loadTokenizer(smallBert)).encode("");
  assert.deepEqual([...ids], [2, 3, 0, 0, 0, 0]);
  assert.deepEqual([...attentionMask], [1, 1, 0, 0, 0, 0]);
  assert.equal(endIndex, 1);
});

test("an absent or limitless model_max_length gives the fallback", async () => {
  const limitless = { ...smallBert, "tokenizer_config.json": '{"model_max_length": 1000000000000000019884624838656}' };
  assert.equal((await loadTokenizer(limitless)).length, 77);
  assert.equal((await loadTokenizer({ "vocab.txt": smallBert["vocab.txt"] }, { fallbackLength: 32 })).length, 32);
});

test("folders that cannot be used are refused by name", async () => {
  const broken: [Record<string, string>, RegExp][] = [
    [{}, /^tok: has no tokenizer\.json, no vocab\.txt/],
    [{ "tokenizer.json": "{" }, /^tok\/tokenizer\.json: is not valid JSON/],
    [{ "tokenizer.json": "[]" }, /^tok\/tokenizer\.json: is not a JSON object/],
    [{ "tokenizer.json": "{}" }, /^tok: cannot be read as a tokenizer/],
    [{ "tokenizer.json": unigram }, /is neither a WordPiece nor a byte-level BPE tokenizer/],
    [{ "vocab.txt": "a\nb\n" }, /^tok\/vocab\.txt: lacks the cls_token \[CLS\]/],
    [{ "vocab.json": '{"a": 0}', "merges.txt": "#version: 0.2\n" }, /^tok\/vocab\.json: lacks the bos_token/],
    [{ ...smallBert, "tokenizer_config.json": '{"model_max_length": 0}' }, /model_max_length is 0; it must be 3 or more/],
    [{ ...smallBert, "tokenizer_config.json": '{"pad_token": "<none>"}' }, /lacks the pad_token <none>/],
  ];
  for (const [files, message] of broken) {
    await assert.rejects(loadTokenizer(files, { where: "tok" }), (error: Error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, message);
      return true;
    });
  }
});
