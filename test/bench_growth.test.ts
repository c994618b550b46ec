import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { describeFit, fitLine, fitPower, predict } from "../bench/growth/fit.ts";
import { type GrowthFile, type MeasuredCurve, fitted } from "../bench/growth/measure.ts";
import { growthPage } from "../bench/growth/page.ts";
import { curveTable } from "../bench/growth/table.ts";
import { packageRoot } from "../src/cli/package.ts";

const near = (actual: number, expected: number, bound = 1e-9) => assert.ok(Math.abs(actual - expected) < bound, `${actual} instead of ${expected}`);

describe("the law of a curve", () => {
  test("is the line of least squares", () => {
    // By hand: means 2 and 3, sums of products 3 and squares 2; residuals 0.5, -1, 0.5 of a variance of 6.
    const fit = fitLine([1, 2, 3], [2, 2, 5]);
    [[fit.slope, 1.5], [fit.intercept, 0], [fit.r2, 0.75], [fit.farthest, 0.5], [predict(fit, 4), 6]].forEach(([actual, expected]) => near(actual, expected));
    assert.equal(describeFit(fitLine([1, 2], [3, 2]), "item"), "−1.00 ms per item + 4.00 ms (R² 1.0000, at most 0.0 % off)");
  });

  test("is a power where that is asked for", () => {
    const x = [16, 32, 48, 96];
    const fit = fitPower(x, x.map((side) => 0.02 * side ** 1.7));
    [[fit.exponent, 1.7], [fit.factor, 0.02], [fit.r2, 1], [predict(fit, 64), 0.02 * 64 ** 1.7]].forEach(([actual, expected]) => near(actual, expected));
    assert.match(describeFit(fit, "side"), /^side\^1\.70 \(R² 1\.0000/);
    // A power through what is none: the middle is a factor of 2 off the line between the ends, in logarithms.
    assert.ok(fitPower([1, 2, 4], [1, 4, 4]).r2 < 0.8);
  });

  test("explains all of times that are the same", () => {
    const { slope, r2 } = fitLine([1, 2, 3], [5, 5, 5]);
    near(slope, 0);
    assert.equal(r2, 1);
  });
});

/** A curve of ms = per * x + fixed in three rounds, the last one slower. */
function curve(facts: Partial<MeasuredCurve>, lines: readonly { name: string; per: number; fixed: number }[]): MeasuredCurve {
  const series = lines.map(({ name, per, fixed }) =>
    fitted(name, facts.law ?? "line", [1, 2, 4, 8].map((x) => {
      const medianMs = per * x + fixed;
      return { x, medianMs, leastMs: 0.9 * medianMs, mostMs: 1.5 * medianMs, flops: 2e6 * medianMs, roundsMs: [0.9, 1, 1.5].map((of) => of * medianMs), yardstickMs: [3, 3, 3] };
    })),
  );
  return { id: "phrases", title: "Phrases <of> a call", note: "Made up.", unit: "phrase", xLabel: "phrases", xScale: "log", yScale: "linear", law: "line", ...facts, series };
}

const phrases = curve({ perUnit: "chart" }, [{ name: "shared", per: 40, fixed: 30 }, { name: "apart", per: 70, fixed: 0 }]);
const side = curve({ id: "side", title: "Side", unit: "side", yScale: "log", law: "power" }, [{ name: "U-Net", per: 3, fixed: 0 }]);
const file: GrowthFile = { format: "attnscope growth 1", version: "1.2.3", commit: "abc+", date: "2025-01-02T00:00:00Z", node: "v20", device: "a <device>", driver: "a driver", model: "weights/phantom", warmUps: 2, rounds: 3, curves: [phrases, side] };

describe("the page of growth", () => {
  const page = growthPage(file);

  test("is one file, escaped, without a number that went wrong", () => {
    assert.doesNotMatch(page, /<(script|link|img)|url\(|@import|NaN|undefined|Infinity|<device>|<of>/);
    assert.match(page, /a &lt;device&gt;, a driver/);
    assert.match(page, /commit abc\+.*2 warm-ups, median of 3 rounds/);
  });

  test("has each curve with its law", () => {
    assert.equal([...page.matchAll(/<svg /g)].length, 2);
    assert.equal([...page.matchAll(/class="law"/g)].length, 3);
    for (const law of ["shared: 40.0 ms per phrase + 30.0 ms", "apart: 70.0 ms per phrase", "U-Net: side^1.00"]) assert.ok(page.includes(law), law);
  });

  test("shows the time of one unit where that is asked for", () => {
    const shown = [...page.matchAll(/<title>shared[^<]*: ([\d.]+) at (\d+)</g)].map(([, ms, x]) => [Number(x), Number(ms)]);
    assert.deepEqual(shown, [[1, 70], [2, 55], [4, 47.5], [8, 43.75]]);
  });
});

test("the terminal's table has a row a point and a line a law", () => {
  const table = curveTable(phrases);
  assert.match(table, /^shared +1 +70\.0 +63\.0 to 105 +70\.0 +2\.00$/m);
  assert.match(table, /^ +8 +350 +315 to 525 +43\.8 +2\.00$/m);
  assert.match(table, /^shared: 40\.0 ms per phrase \+ 30\.0 ms/m);
  assert.doesNotMatch(curveTable(side), /ms per/);
});

test("bad options end with 2 and one line", () => {
  const run = (...args: string[]) => spawnSync(process.execPath, ["--import", "tsx", join(packageRoot, "bench/growth/run.ts"), ...args], { encoding: "utf8", cwd: packageRoot });
  for (const [args, message] of [[["--only", "batch,weather"], /^attnscope: --only: no curve weather; there are batch, timesteps, phrases, side, words\n$/], [["--rounds", "0"], /It is not a whole number of 1 or more/]] as const) {
    const { status, stderr, stdout } = run(...args);
    assert.equal(status, 2);
    assert.match(stderr, message);
    assert.equal(stdout, "");
  }
});
