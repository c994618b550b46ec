import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { curve, spread } from "../src/report/curves.ts";
import { barChart, lineChart } from "../src/report/plot.ts";

/** Attributes of all elements of a kind. */
function elements(svg: string, kind: string): Record<string, string>[] {
  return [...svg.matchAll(new RegExp(`<${kind} ([^>]*)>`, "g"))].map(([, text]) => Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value])));
}

const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)/g)].map(([, text]) => text);
const x = { label: "step", whole: true };

describe("charts of lines", () => {
  test("points lie where the axes say, ticks are whole where values are", () => {
    const { text } = lineChart({ title: "t", x, y: { label: "y", from: 0, to: 1 }, series: [{ name: "a", x: [0, 1, 2], y: [0, 0.5, 1] }] });
    const [first, middle, last] = elements(text, "circle").map(({ cx, cy }) => [Number(cx), Number(cy)]);
    assert.deepEqual(middle.map((value, i) => Math.abs(value - (first[i] + last[i]) / 2) < 0.1), [true, true]);
    assert.ok(first[0] < last[0] && first[1] > last[1]);
    const tickX = elements(text, "text").filter(({ "text-anchor": anchor, class: kind }) => anchor === "middle" && kind !== "label");
    assert.deepEqual(tickX.map((tick) => Number(tick.x)), [first[0], middle[0], last[0]]);
    assert.deepEqual(texts(text).slice(0, 4), ["0", "1", "2", "step"]);
  });

  test("what is missing or not finite is a gap, in lines and bands", () => {
    const y = [1, 2, NaN, 3, undefined, 4];
    const { text } = lineChart({ title: "t", x, y: { label: "y" }, series: [{ name: "a", x: [1, 2, 3, 4, 5, 6], y, low: y, high: y }] });
    const paths = elements(text, "path");
    const d = (kind: string) => paths.find((path) => path.class === kind)?.d ?? "";
    assert.deepEqual([d("line").match(/M/g)?.length, d("band").match(/M/g)?.length, elements(text, "circle").length], [3, 3, 4]);
    assert.doesNotMatch(text, /NaN|undefined|Infinity/);
  });

  test("a logarithmic axis leaves out what has no logarithm; decades are apart alike", () => {
    const { text } = lineChart({ title: "t", x, y: { label: "y", scale: "log" }, series: [{ name: "a", x: [1, 2, 3, 4], y: [0, 0.01, 1, 100] }] });
    const heights = elements(text, "circle").map(({ cy }) => Number(cy));
    assert.equal(heights.length, 3);
    assert.ok(Math.abs(heights[0] - 2 * heights[1] + heights[2]) < 0.2, `${heights}`);
    assert.doesNotMatch(text, /NaN/);
  });

  test("what is fitted to points is a line of their colour, and lies within the axes", () => {
    const law = { x: [1, 2, 3], y: [0, 30, 60] };
    const { text } = lineChart({ title: "t", x, y: { label: "y" }, series: [{ name: "a", x: [1, 3], y: [5, 50], mark: "points", law }] });
    const [{ d }] = elements(text, "path").filter((path) => path.class === "law");
    const heights = [...d.matchAll(/[ML][\d.]+,([\d.]+)/g)].map(([, y]) => Number(y));
    const [low, high] = elements(text, "circle").map(({ cy }) => Number(cy));
    assert.equal(heights.length, 3);
    assert.ok(heights[0] > low && heights[2] < high && heights[2] >= 0, `${heights} around ${low} and ${high}`);
    assert.equal(elements(text, "path").filter((path) => path.class === "line").length, 0);
  });

  test("charts without values, with one, or with one that is the same everywhere are drawn", () => {
    for (const y of [[], [undefined], [7], [0, 0], [-3, -3]]) {
      for (const scale of ["linear", "log"] as const) {
        assert.doesNotMatch(lineChart({ title: "t", x, y: { label: "y", scale }, series: [{ name: "a", x: y.map((_, i) => i), y }] }).text, /NaN|Infinity/);
      }
    }
  });

  test("names are escaped, and a legend tells several series apart", () => {
    const one = { name: "<a & b>", x: [1], y: [1] };
    const { text } = lineChart({ title: `"t"`, x, y: { label: "y" }, series: [one, { ...one, name: "c" }] });
    assert.match(text, /<span class="s0">&lt;a &amp; b&gt;<\/span><span class="s1">c<\/span>/);
    assert.doesNotMatch(text, /<a &|"t"/);
    assert.doesNotMatch(lineChart({ title: "t", x, y: { label: "y" }, series: [one] }).text, /legend/);
  });
});

describe("charts of bars", () => {
  test("bars stand on 0, whiskers reach from low to high, and both are told", () => {
    const { text } = barChart({ title: "t", y: { label: "y", from: -1, to: 1 }, groups: ["g", "h"], series: [{ name: "s", bars: [{ value: 0.5, low: 0.25, high: 1 }, { value: -0.5 }] }] });
    const [up, down] = elements(text, "rect").map(({ y, height }) => ({ top: Number(y), bottom: Number(y) + Number(height) }));
    assert.ok(Math.abs(up.bottom - down.top) < 0.2 && Math.abs(up.bottom - up.top - (down.bottom - down.top)) < 0.2);
    const [whisker, ...others] = elements(text, "path").filter((path) => path.class === "whisker");
    assert.deepEqual(others, []);
    const [, low, high] = /^M\S+ (\S+)V([\d.]+)M/.exec(whisker.d)?.map(Number) ?? [];
    const unit = up.bottom - up.top; // of 0.5
    assert.ok(Math.abs(up.bottom - low - unit / 2) < 0.3 && Math.abs(up.bottom - high - 2 * unit) < 0.3, `${low} ${high} ${JSON.stringify(up)}`);
    assert.match(text, /<title>s, g: 0.5000 \(0.2500 to 1\)<\/title>/);
    assert.match(text, /<title>s, h: -0.5000<\/title>/);
  });

  test("a bar that is missing leaves its place; names that are too wide are turned", () => {
    const { text } = barChart({ title: "t", y: { label: "y" }, groups: ["a name that is far too wide for the place that it has in this chart of bars", "b"], series: [{ name: "s", bars: [undefined, { value: 1 }] }, { name: "r", bars: [{ value: 1 }, { value: 2 }] }] });
    assert.equal(elements(text, "rect").length, 3);
    assert.equal(text.match(/rotate\(-24/g)?.length, 2);
  });
});

test("a long curve is joined to few points with its extremes; gaps do not count", () => {
  const steps = Array.from({ length: 1000 }, (_, i) => i + 1);
  const values = steps.map((step) => (step % 100 === 0 ? undefined : step === 555 ? 50 : 1));
  const joined = curve(steps, values, 100);
  assert.deepEqual([joined.x.length, joined.x[0], joined.x[99]], [100, 10, 1000]);
  assert.deepEqual([Math.max(...joined.high), joined.y[0], joined.y[9]], [50, 1, 1]);
  assert.deepEqual(curve([1, 2, 3], [NaN, 2, 4], 100), { x: [2, 3], y: [2, 4], low: [2, 4], high: [2, 4] });
});

test("a spread keeps the first and the last", () => {
  assert.deepEqual(spread([1, 2, 3, 4, 5, 6, 7], 3), [1, 4, 7]);
  assert.deepEqual(spread([1, 2], 3), [1, 2]);
});
