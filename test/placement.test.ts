import assert from "node:assert/strict";
import { test } from "node:test";
import { type Claim, claimsAtPeak, placeClaims } from "../src/gpu/placement.ts";
import { randomValues } from "../shaders-test/values.ts";

const overlap = (a: Claim, b: Claim) => a.start <= b.end && b.start <= a.end;
const bytesOf = (claims: readonly Claim[]) => claims.reduce((sum, { size }) => sum + size, 0);
const buffersOf = (claims: readonly Claim[]) => placeClaims(claims).map(([largest]) => largest);

/** Claims of random sizes, each held from its turn until a random later moment. */
function randomClaims(count: number, seed: number): Claim[] {
  const values = randomValues(2 * count, seed);
  const chance = (i: number) => Math.min(0.999, Math.abs(values[i]) % 1);
  return Array.from({ length: count }, (_, i) => ({ size: 1 + Math.floor(1000 * chance(i)), start: 2 * i, end: 2 * i + 1 + 2 * Math.floor(9 * chance(count + i)) }));
}

test("a buffer serves one claim at a time, and is as large as its largest", () => {
  const claims = randomClaims(300, 1);
  const groups = placeClaims(claims);
  assert.deepEqual(groups.flat().sort((a, b) => a.start - b.start), claims);
  for (const group of groups) {
    assert.equal(group[0].size, Math.max(...group.map(({ size }) => size)));
    for (const [i, claim] of group.entries()) assert.ok(group.slice(i + 1).every((other) => !overlap(claim, other)));
  }
});

test("no placement can take less than what is live at the peak; a chain takes just that", () => {
  const claims = randomClaims(300, 2);
  assert.ok(bytesOf(buffersOf(claims)) >= bytesOf(claimsAtPeak(claims)));
  // Every claim reads the one before it: two are live at a time.
  const chain = [5, 3, 7, 4, 6].map((size, i) => ({ size, start: 2 * i, end: 2 * i + 3 }));
  assert.equal(bytesOf(claimsAtPeak(chain)), 11);
  assert.deepEqual(buffersOf(chain).map(({ size }) => size), [7, 4]);
});

test("what is held to the end of a step is never shared after its beginning", () => {
  const claims = [{ size: 8, start: 0, end: 1 }, { size: 8, start: 2, end: Infinity }, { size: 8, start: 3, end: 4 }];
  assert.deepEqual(placeClaims(claims), [[claims[0], claims[1]], [claims[2]]]);
});
