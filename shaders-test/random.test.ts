import assert from "node:assert/strict";
import { test } from "node:test";
import { callFragment } from "./fragment.ts";
import { testGpu } from "./harness.ts";

const gpu = await testGpu();
const asFloats = (raw: Uint32Array) => new Float32Array(raw.buffer, 0, raw.length);

test("Philox 4x32-10 gives Random123's known answers", async () => {
  // kat_vectors of Random123: counter, key, answer.
  const vectors = [
    ["00000000 00000000 00000000 00000000 00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    ["ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    ["243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"],
  ].map((words) => words.map((text) => text.split(" ").map((word) => Number.parseInt(word, 16))));
  const source = `
    //! include lib/philox.wgsl
    fn call(i: u32) {
      let at = 6u * i;
      let bits = philox(vec4(input[at], input[at + 1u], input[at + 2u], input[at + 3u]), vec2(input[at + 4u], input[at + 5u]));
      for (var k = 0u; k < 4u; k++) { output[4u * i + k] = bits[k]; }
    }`.replaceAll(/^ {4}/gm, "");
  const actual = await callFragment(gpu, source, Uint32Array.from(vectors.flatMap(([input]) => input)), 3, 12);
  assert.deepEqual([...actual], vectors.flatMap(([, answer]) => answer));
});

test("64-bit products are exact", async () => {
  const numbers = [0, 1, 0xffff, 0x10000, 0x12345678, 0x80000000, 0xfffeffff, 0xffffffff];
  const pairs = numbers.flatMap((a) => numbers.map((b) => [a, b]));
  const source = `
    //! include lib/philox.wgsl
    fn call(i: u32) {
      let product = multiply_wide(input[2u * i], input[2u * i + 1u]);
      output[2u * i] = product.x;
      output[2u * i + 1u] = product.y;
    }`.replaceAll(/^ {4}/gm, "");
  const actual = await callFragment(gpu, source, Uint32Array.from(pairs.flat()), pairs.length, 2 * pairs.length);
  const expected = pairs.flatMap(([a, b]) => [Number((BigInt(a) * BigInt(b)) & 0xffffffffn), Number((BigInt(a) * BigInt(b)) >> 32n)]);
  assert.deepEqual([...actual], expected);
});

test("cosines and sines of turns are exact to 1.5e-7", async () => {
  const quarters = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((eighth) => [-1, 0, 1].map((step) => eighth * 2 ** 29 + step));
  const turns = Uint32Array.from([...quarters, ...Array.from({ length: 2000 }, (_, i) => i * 2147483.5)]);
  const source = `
    //! include lib/turns.wgsl
    fn call(i: u32) {
      let point = bitcast<vec2<u32>>(cos_sin_turns(input[i]));
      output[2u * i] = point.x;
      output[2u * i + 1u] = point.y;
    }`.replaceAll(/^ {4}/gm, "");
  const actual = asFloats(await callFragment(gpu, source, turns, turns.length, 2 * turns.length));
  for (const [i, turn] of turns.entries()) {
    const angle = (turn / 2 ** 32) * 2 * Math.PI;
    const error = Math.max(Math.abs(actual[2 * i] - Math.cos(angle)), Math.abs(actual[2 * i + 1] - Math.sin(angle)));
    assert.ok(error < 1.5e-7, `${turn}: error ${error}`);
  }
});

test("negative logarithms are exact to 4e-7 of themselves, also next to 1", async () => {
  const ends = [1, 2, 3, 2 ** 23, 11863283, 11863284, 2 ** 24 - 2, 2 ** 24 - 1, 2 ** 24];
  const numbers = Uint32Array.from([...ends, ...Array.from({ length: 2000 }, (_, i) => 1 + 8388.5 * i)]);
  const source = `
    //! include lib/normal.wgsl
    fn call(i: u32) {
      output[i] = bitcast<u32>(negative_log(input[i]));
    }`.replaceAll(/^ {4}/gm, "");
  const actual = asFloats(await callFragment(gpu, source, numbers, numbers.length, numbers.length));
  for (const [i, n] of numbers.entries()) {
    // log1p keeps the difference from 1, which is exact.
    const exact = -Math.log1p((n - 2 ** 24) / 2 ** 24);
    assert.ok(Math.abs(actual[i] - exact) <= 4e-7 * exact, `${n}: ${actual[i]}, expected ${exact}`);
  }
});
