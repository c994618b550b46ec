import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fewestRounds } from "../bench/harness.ts";
import { checkRounds, compareRuns, describeComparison } from "../bench/tools/compare.ts";
import { holm, leastP, rankTest } from "../bench/tools/rank_test.ts";
import { type FamilyResult, readResults, resultsFile, saveResults } from "../bench/tools/results_file.ts";
import { temporaryFolder } from "./cli_process.ts";

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} instead of ${expected}`);

describe("the rank test", () => {
  test("is exact: what counting all orderings gives", () => {
    // Of C(7, 3) = 35 orderings, one has the three values of a on top, one at the bottom.
    near(rankTest([5, 6, 7], [1, 2, 3, 4]), 2 / 35);
    near(rankTest([1, 2, 3], [4, 5, 6, 7]), 2 / 35);
    // One pair out of order: two orderings on each side.
    near(rankTest([4, 6, 7], [1, 2, 3, 5]), 4 / 35);
    near(rankTest([1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14]), 2 / 3432);
    assert.equal(rankTest([1, 3], [2, 2]), 1);
  });

  test("gives no less than its least p", () => {
    for (const [n, m] of [[3, 4], [7, 7], [9, 5]]) near(leastP(n, m), rankTest(Array.from({ length: n }, (_, i) => i), Array.from({ length: m }, (_, i) => n + i)));
    assert.equal(leastP(1, 1), 1);
  });

  test("is corrected for many tests", () => {
    holm([0.01, 0.04, 0.03]).forEach((p, i) => near(p, [0.03, 0.06, 0.06][i]));
    assert.deepEqual(holm([0.9, 0.8]), [1, 1]);
  });
});

/** Ten cases of seven rounds, some of them slower by a factor, on a machine that is slower by another in each round. */
function results(slower: Record<number, number> = {}, machine = [1, 1, 1, 1, 1, 1, 1]): FamilyResult[] {
  return Array.from({ length: 10 }, (_, i) => {
    const factor = (slower[i] ?? 1) * (1 + 0.01 * Math.sin(i));
    const roundsMs = machine.map((load, round) => factor * load * (1 + 0.004 * Math.sin(7 * i + 3 * round)));
    return { family: "matmul", name: `case ${i}`, variant: "tiled", flops: 1, bytes: 1, medianMs: factor, leastMs: factor, gflops: 1, gbps: 1, roundsMs, yardstickMs: machine.map((load) => 3 * load) };
  });
}

describe("two runs", () => {
  const verdicts = (after: FamilyResult[]) => compareRuns(results(), after).cases.map(({ verdict }) => verdict);

  test("of the same code are the same, whatever the machine does", () => {
    assert.deepEqual(new Set(verdicts(results())), new Set(["same"]));
    assert.deepEqual(new Set(verdicts(results({}, [1.4, 2, 1.1, 3, 1.2, 1.2, 2.5]))), new Set(["same"]));
  });

  test("tell the case that changed, also on a busy machine", () => {
    const expected = (verdict: string) => Array.from({ length: 10 }, (_, i) => (i === 4 ? verdict : "same"));
    assert.deepEqual(verdicts(results({ 4: 1.2 }, [1.4, 2, 1.1, 3, 1.2, 1.2, 2.5])), expected("slower"));
    assert.deepEqual(verdicts(results({ 4: 0.8 })), expected("faster"));
  });

  test("do not call a change that few rounds show", () => {
    const after = results();
    after[4].roundsMs = after[4].roundsMs.map((ms, i) => (i < 4 ? 1.3 * ms : 0.97 * ms));
    assert.equal(verdicts(after)[4], "same");
  });

  test("are refused before anything is timed where so few rounds can tell no change", () => {
    const many = (cases: number) => Array.from({ length: cases }, (_, i) => ({ ...results()[0], name: `case ${i}` }));
    // 2 of C(14, 7) = 3432 orderings, 85 and 86 times: below and above 0.05.
    checkRounds("before.json", many(85), 7);
    assert.throws(() => checkRounds("before.json", many(86), 7), /before\.json: 86 cases of 7 rounds beside 7 can tell no change \(p is 0\.050 at best\); compare fewer families/);
    checkRounds("before.json", many(86), fewestRounds);
    checkRounds("before.json", [], 1);
  });

  test("name cases that one of them lacks", () => {
    const comparison = compareRuns(results(), results().slice(1));
    assert.deepEqual(comparison.missing, ["matmul: case 0: tiled"]);
    assert.match(describeComparison(comparison), /only in one of the runs: matmul: case 0: tiled\n0 slower, 0 faster, 9 the same/);
  });
});

test("results come back from their file", async () => {
  const path = join(temporaryFolder(), "results.json");
  const adapter = { vendor: "", architecture: "", device: "a device", description: "a driver", software: true };
  const written = resultsFile(adapter, results());
  await saveResults(path, written);
  const read = readResults(path);
  assert.deepEqual([read.device, read.commit, read.results.length], ["a device", written.commit, 10]);
  near(read.results[3].roundsMs[2], Number(written.results[3].roundsMs[2].toPrecision(6)));
  assert.equal(readFileSync(path, "utf8").split("\n").filter((line) => line.includes('"family"')).length, 10, "a case a line");
  writeFileSync(path, "{}");
  assert.throws(() => readResults(path), /holds no bench results/);
});
