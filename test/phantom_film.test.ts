import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { fieldBox, fieldThresholds } from "../src/data/phantom/boxes.ts";
import { drawPhantomFilm, type PhantomFilm, phantomSets } from "../src/data/phantom/film.ts";
import { drawFindings, type Finding, findingCounts, phantomLabels } from "../src/data/phantom/findings.ts";
import { createRandom } from "../src/random.ts";
import { drawScene } from "../src/data/phantom/scene.ts";
import { InputError } from "../src/errors.ts";

const sourceFolder = fileURLToPath(new URL("../src/data/phantom", import.meta.url));

function sha256(...parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** A scene from streams of its own, the same for the same number. */
function scene(findings: readonly Finding[], number: number, size = 128) {
  return drawScene(findings, size, (purpose) => createRandom(77, number, purpose));
}

test("films have the bytes that every platform must give", () => {
  const films = [
    ...[0, 1, 2, 3].map((index) => drawPhantomFilm(1, "train", index)),
    ...phantomLabels.map((_, index) => drawPhantomFilm(1, "single", index)),
    drawPhantomFilm(2 ** 40 + 3, "pairs", 12345, 96),
  ];
  assert.equal(sha256(...films.map(({ pixels }) => pixels)), "fe9380b5b3813528a41a408096dc17b996158d938a56a8ad3b02bbbf68abbf2b");
  const told = films.map(({ caption, segments, findings }) => ({ caption, segments, findings }));
  assert.equal(sha256(new TextEncoder().encode(JSON.stringify(told))), "e163520b7f24124350296374581be9359b8041d69d4c3b25d7efb7aebe37e95b");
});

test("films are drawn with operations that are exact in every engine", async () => {
  const exact = new Set(["abs", "ceil", "floor", "imul", "max", "min", "sqrt"]);
  const files = (await readdir(sourceFolder)).filter((name) => name.endsWith(".ts"));
  assert.ok(files.length > 10);
  for (const name of files) {
    const code = (await readFile(`${sourceFolder}/${name}`, "utf8")).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    for (const [, method] of code.matchAll(/Math\.(\w+)/g)) assert.ok(exact.has(method), `${name} uses Math.${method}`);
    assert.ok(!code.includes("**"), `${name} uses **, which engines may round differently`);
  }
});

test("a film depends on seed, set and index alone", () => {
  const later = drawPhantomFilm(5, "train", 9, 64);
  for (const index of [3, 9]) drawPhantomFilm(5, "validate", index, 64);
  assert.deepEqual(drawPhantomFilm(5, "train", 9, 64), later);
  const hashes = phantomSets.flatMap((set) => [5, 6].flatMap((seed) => [9, 10].map((index) => sha256(drawPhantomFilm(seed, set, index, 64).pixels))));
  assert.equal(new Set(hashes).size, hashes.length);
});

test("a film is the same patient in every size", () => {
  const small = drawPhantomFilm(3, "train", 4, 64);
  const large = drawPhantomFilm(3, "train", 4, 128);
  assert.equal(small.caption, large.caption);
  let difference = 0;
  for (let row = 0; row < 64; row++) {
    for (let column = 0; column < 64; column++) {
      const at = 2 * row * 128 + 2 * column;
      const mean = (large.pixels[at] + large.pixels[at + 1] + large.pixels[at + 128] + large.pixels[at + 129]) / 4;
      difference += Math.abs(mean - small.pixels[row * 64 + column]) / 64 ** 2;
    }
  }
  assert.ok(difference < 6, `grey values differ by ${difference} on average`);
});

test("a box is the tightest one about what counts of a field", () => {
  const field = new Float32Array(128 * 128);
  for (let row = 30; row < 50; row++) for (let column = 70; column < 100; column++) field[row * 128 + column] = 0.5;
  field[0] = 0.99 * fieldThresholds.ofPeak * 0.5;
  assert.deepEqual(fieldBox(field, 128), [70, 30, 30, 20]);
  assert.equal(fieldBox(field.map((value) => 0.2 * value), 128), undefined, "a field below the absolute threshold");
  assert.equal(fieldBox(new Float32Array(128 * 128), 128), undefined);
});

/** What a finding changes in the film that is otherwise the same: grey levels by pixel. */
function change(finding: Finding, number: number): Float64Array {
  const sick = scene([finding], number).pixels;
  const well = scene([], number).pixels;
  return Float64Array.from(sick, (value, i) => Math.abs(value - well[i]));
}

/** Findings that leave the patient's shape as it is, so that films with and without them differ by their field alone. */
const additions: Finding[] = (["left", "right"] as const).flatMap((side) => [
  ...(["upper", "mid", "lower"] as const).flatMap((zone) =>
    (["Consolidation", "Lung Opacity", "Pneumonia"] as const).map((label): Finding => ({ label, side, zone, severity: 1 })),
  ),
  { label: "Atelectasis", side, zone: "mid", severity: 1 },
  { label: "Pneumothorax", side, zone: "upper", severity: 1 },
  { label: "Pleural Effusion", side, zone: "lower", severity: 0 },
]);

test("boxes cover what findings add, on the image's right for the patient's left", () => {
  for (const [number, finding] of additions.entries()) {
    const name = `${finding.label} ${finding.side} ${finding.zone}`;
    const { fields } = scene([finding], number);
    const box = fieldBox(fields[0][0], 128);
    assert.ok(box, name);
    const [left, top, width, height] = box;
    const changes = change(finding, number);
    let inside = 0;
    let onSide = 0;
    let total = 0;
    for (let i = 0; i < changes.length; i++) {
      const [x, y] = [i % 128, Math.floor(i / 128)];
      total += changes[i];
      if (x >= left && x < left + width && y >= top && y < top + height) inside += changes[i];
      if (x >= 64 === (finding.side === "left")) onSide += changes[i];
    }
    assert.ok(total > 128 * 20, `${name} changes next to nothing (${total})`);
    // The collapsed lung beside a pneumothorax and the haze above an effusion are denser too, and no part of the box.
    const share = finding.label === "Pneumothorax" || finding.label === "Pleural Effusion" ? 0.5 : 0.85;
    assert.ok(inside / total > share, `${name}: ${inside / total} of the change is in the box`);
    assert.ok(onSide / total > 0.95, `${name}: ${onSide / total} of the change is on its side`);
  }
});

test("an enlarged heart is wider by grade, and its box is the heart", () => {
  const widths = ([0, 1, 2] as const).map((severity) => {
    const boxes = Array.from({ length: 8 }, (_, number) => fieldBox(scene([{ label: "Cardiomegaly", side: "none", zone: "none", severity }], number).fields[0][0], 128));
    return boxes.reduce((sum, box) => sum + (box?.[2] ?? 0) / 8, 0);
  });
  assert.ok(widths[0] > 50 && widths[1] > widths[0] + 5 && widths[2] > widths[1] + 5, `mean widths ${widths}`);
});

test("a pneumothorax is blacker than the lung before it, an effusion whiter", () => {
  for (const side of ["left", "right"] as const) {
    const brightness = (finding: Finding) => {
      const { pixels, fields } = scene([finding], 3);
      const well = scene([], 3).pixels;
      let change = 0;
      let weight = 0;
      for (const [i, value] of fields[0][0].entries()) if (value > 0.9) [change, weight] = [change + pixels[i] - well[i], weight + 1];
      return change / weight;
    };
    assert.ok(brightness({ label: "Pneumothorax", side, zone: "upper", severity: 1 }) < -20);
    assert.ok(brightness({ label: "Pleural Effusion", side, zone: "lower", severity: 1 }) > 60);
  }
});

test("an edema has a box in each lung, the right lung's on the image's left", () => {
  const film = findFilm(({ findings }) => findings[0].label === "Edema", "single");
  const [right, left] = film.findings[0].boxes;
  assert.ok(right[0] + right[2] <= left[0]);
});

test("findings are balanced", () => {
  const counts = new Map<string, number>(phantomLabels.map((label) => [label, 0]));
  const sides = { left: 0, right: 0 };
  const numbers = [0, 0, 0, 0];
  const films = 8000;
  for (let index = 0; index < films; index++) {
    const random = createRandom(9, index);
    const findings = drawFindings(random, random.choose([0, 1, 2, 3], findingCounts));
    numbers[findings.length] += 1 / films;
    for (const { label, side } of findings) {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      if (side === "left" || side === "right") sides[side]++;
    }
  }
  const shares = [...counts.values()];
  assert.ok(Math.max(...shares) < 2 * Math.min(...shares), `labels ${JSON.stringify([...counts])}`);
  assert.ok(Math.abs(sides.left / (sides.left + sides.right) - 0.5) < 0.02);
  for (const [i, share] of findingCounts.entries()) assert.ok(Math.abs(numbers[i] - share) < 0.02, `${numbers[i]} of the films have ${i} findings`);
});

test("the test sets have each label first equally often", () => {
  for (const [set, count] of [["single", 1], ["pairs", 2]] as const) {
    for (const [index, label] of phantomLabels.entries()) {
      const { findings } = drawPhantomFilm(4, set, index + 8, 64);
      assert.equal(findings[0].label, label);
      assert.equal(findings.length, count);
      for (const { boxes } of findings) assert.ok(boxes.length > 0);
    }
  }
});

test("seeds, indices and sizes that are no such are refused", () => {
  for (const [seed, index, size] of [[-1, 0, 64], [0.5, 0, 64], [NaN, 0, 64], [1, -1, 64], [1, 0, 16], [1, 0, 64.5]]) {
    assert.throws(() => drawPhantomFilm(seed, "train", index, size), InputError);
  }
});

test("the speed of drawing", (t) => {
  drawPhantomFilm(1, "train", 0);
  const started = process.cpuUsage();
  for (let index = 0; index < 60; index++) drawPhantomFilm(1, "train", index);
  const { user, system } = process.cpuUsage(started);
  t.diagnostic(`${(60 / ((user + system) / 1e6)).toFixed(0)} films of 128 x 128 a second of processor time`);
});

function findFilm(isWanted: (film: PhantomFilm) => boolean, set: "train" | "single"): PhantomFilm {
  for (let index = 0; index < 100; index++) {
    const film = drawPhantomFilm(8, set, index, 64);
    if (isWanted(film)) return film;
  }
  throw new Error("no such film among a hundred");
}
