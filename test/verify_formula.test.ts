import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, byFormula, fillByFormula, formulaKind } from "../src/verify/formula.ts";
import { formulaSource } from "../src/verify/formula_source.ts";

test("CRC-32 of the check string", () => {
  assert.equal(crc32("123456789"), 0xcbf43926);
});

test("each rule of the formula", () => {
  const kinds: [name: string, shape: number[], offset: number, scale: number][] = [
    ["text_model.embeddings.token_embedding.weight", [9, 4], 0, 0.5],
    ["time_embedding.linear_1.weight", [8, 3], 0, 1],
    ["embeddings.proj.weight", [8, 3], 0, 1],
    ["bn.running_var", [4], 1, 0.1],
    ["conv_in.weight", [2, 3, 2, 2], 0, 0.5],
    ["norm.weight", [4], 1, 0.1],
    ["norm.bias", [4], 0, 0.05],
    ["bn.running_mean", [4], 0, 0.05],
  ];
  for (const [name, shape, offset, scale] of kinds) assert.deepEqual(formulaKind(name, shape), { offset, scale }, name);
});

test("values are those of the formula in big integers", () => {
  const mask = 0xffffffffn;
  const fmix32 = (h: bigint) => {
    h = ((h ^ (h >> 16n)) * 0x85ebca6bn) & mask;
    h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) & mask;
    return h ^ (h >> 16n);
  };
  const name = "conv.weight";
  const values = byFormula(name, [40, 300]);
  for (const i of [0, 1, 2, 5000, 11_999]) {
    const h = fmix32((BigInt(crc32(name)) + BigInt(i) * 0x9e3779b9n) & mask);
    assert.equal(values[i], Math.fround((2 * Number(h) * 2 ** -32 - 1) * Math.sqrt(3 / 300)));
  }
});

test("a part read by range is that part of the whole", async () => {
  const whole = byFormula("x.weight", [7, 11]);
  const part = new Float32Array(20);
  fillByFormula("x.weight", [7, 11], 33, part);
  assert.deepEqual(part, whole.slice(33, 53));
  const source = formulaSource("manifest", { "x.weight": [7, 11] });
  const bytes = await source.read(source.tensors.get("x.weight")!, 4 * 33, 4 * 20);
  assert.deepEqual(new Float32Array(bytes.buffer), part);
});

test("a manifest that is none is refused", () => {
  assert.throws(() => formulaSource("m.json", { a: [-1] }), /m\.json: a has the impossible shape \[-1\]/);
  assert.throws(() => formulaSource("m.json", null), /m\.json: is not a manifest/);
});
