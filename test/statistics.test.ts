import assert from "node:assert/strict";
import { test } from "node:test";
import { median, quantile } from "../src/statistics.ts";

test("a quantile lies between its neighbours, and is 0 of none", () => {
  const sorted = Float64Array.of(1, 2, 4, 8, 20);
  assert.deepEqual([0, 0.25, 0.375, 0.875, 1].map((at) => quantile(sorted, at)), [1, 2, 3, 14, 20]);
  assert.equal(quantile([5], 0.3), 5);
  assert.equal(quantile([], 0.5), 0);
});

test("a median sorts by value, and leaves the values as they were", () => {
  const values = [10, 9, 100];
  assert.equal(median(values), 10);
  assert.deepEqual(values, [10, 9, 100]);
  assert.equal(median([4, 1]), 2.5);
});
