import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { jetIndex, jetTable } from "../src/data/colormap.ts";
import { readFilm } from "../src/data/decode_node.ts";
import type { Picture } from "../src/data/draw.ts";
import type { Film } from "../src/data/film.ts";
import { toNpy } from "../src/data/npy.ts";
import { planPreprocess } from "../src/data/preprocess.ts";
import { heatPicture, maskPicture, overlay } from "../src/data/render.ts";
import { resizeBilinear } from "../src/data/resize.ts";
import { wordsSvg } from "../src/data/words_svg.ts";
import { writeNpy, writePng, writeWordsPng } from "../src/data/write_node.ts";
import { InputError } from "../src/errors.ts";

let folder: string;
before(async () => void (folder = await mkdtemp(join(tmpdir(), "attnscope-"))));
after(() => rm(folder, { recursive: true }));

test("jet has Matplotlib's bytes", () => {
  const colour = (value: number) => [...jetTable.subarray(jetIndex(value), jetIndex(value) + 3)];
  const expected: [number, number[]][] = [
    [0, [0, 0, 127]],
    [0.1, [0, 0, 241]],
    [0.25, [0, 128, 255]],
    [0.5, [124, 255, 121]],
    [0.66, [254, 237, 0]],
    [0.8, [255, 103, 0]],
    [0.95, [182, 0, 0]],
    [1, [127, 0, 0]],
  ];
  for (const [value, rgb] of expected) assert.deepEqual(colour(value), rgb, `at ${value}`);
  assert.deepEqual([jetIndex(-1), jetIndex(2)], [0, 765]);
});

test("an overlay mixes film and map where the model saw the film, and leaves the rest plain", () => {
  const film = greyFilm(80, 40, 100);
  const plan = planPreprocess(80, 40, 20); // 40 x 20, of which the middle 20 x 20 are seen
  const picture = overlay(film, [1, 1, 1, 1], 2, plan);
  assert.deepEqual(pixel(picture, 19, 10), [100, 100, 100, 255]);
  assert.deepEqual(pixel(picture, 60, 10), [100, 100, 100, 255]);
  for (const x of [20, 59]) assert.deepEqual(pixel(picture, x, 10), [0.7 * 100 + 0.3 * 127, 70, 70, 255].map(Math.round));
  assert.deepEqual(pixel(overlay(film, [1, 1, 1, 1], 2, plan, { alpha: 1 }), 30, 10), [127, 0, 0, 255]);
});

test("the map is spread bilinearly with half-pixel centres over the film", () => {
  const map = Float32Array.from({ length: 9 }, (_, i) => ((i * 5) % 9) / 9);
  const spread = resizeBilinear(map, { width: 3, height: 3 }, { width: 24, height: 24 });
  const picture = heatPicture(map, 3, planPreprocess(24, 24, 48));
  // a film smaller than the model's image is padded: its pixels see the middle of the map
  const padded = resizeBilinear(map, { width: 3, height: 3 }, { width: 48, height: 48 }, { window: { left: 12, top: 12, width: 24, height: 24 } });
  const whole = heatPicture(map, 3, planPreprocess(24, 24, 24));
  for (let i = 0; i < 24 * 24; i++) {
    assert.deepEqual([...whole.data.subarray(4 * i, 4 * i + 3)], [...jetTable.subarray(jetIndex(spread[i]), jetIndex(spread[i]) + 3)]);
    assert.deepEqual([...picture.data.subarray(4 * i, 4 * i + 3)], [...jetTable.subarray(jetIndex(padded[i]), jetIndex(padded[i]) + 3)]);
  }
});

test("heat is transparent and a mask black where the model saw nothing", () => {
  const plan = planPreprocess(80, 40, 20);
  const heat = heatPicture([0, 0, 0, 0], 2, plan);
  assert.deepEqual([pixel(heat, 0, 0)[3], pixel(heat, 40, 0)], [0, [0, 0, 127, 255]]);
  const mask = maskPicture([0, 1, 0, 1], 2, plan);
  assert.deepEqual([0, 39, 40, 59, 60].map((x) => pixel(mask, x, 5)), [0, 0, 255, 255, 0].map((grey) => [grey, grey, grey, 255]));
});

test("boxes are lines of two pixels on their edges with a dark halo, cut at the picture's border", () => {
  const film = greyFilm(40, 40, 100);
  const plan = planPreprocess(40, 40, 40);
  const picture = overlay(film, [0], 1, plan, { alpha: 0, boxes: [[10, 10, 20, 20], [30, 30, 100, 100]] });
  const row = [7, 8, 9, 10, 11, 12].map((x) => pixel(picture, x, 20)[0]);
  assert.deepEqual(row, [100, 0, 255, 255, 0, 100]);
  assert.deepEqual(pixel(picture, 39, 30), [255, 255, 255, 255]);
});

test("a mask's border is drawn inside it, with its halo outside", () => {
  const plan = planPreprocess(40, 40, 40);
  const outline = Uint8Array.from({ length: 1600 }, (_, i) => (i % 40 >= 20 ? 1 : 0));
  const picture = overlay(greyFilm(40, 40, 100), new Float32Array(1600), 40, plan, { alpha: 0, outline });
  const row = [18, 19, 20, 21, 22].map((x) => pixel(picture, x, 20).slice(0, 3).join());
  assert.deepEqual(row, ["100,100,100", "0,0,0", "255,0,255", "255,0,255", "100,100,100"]);
});

test("PNG files hold the picture's pixels and leave no temporary file", async () => {
  const picture = overlay(greyFilm(33, 21, 90), [0, 0.5, 0.7, 1], 2, planPreprocess(33, 21, 16));
  await writePng(join(folder, "deep", "overlay.png"), picture);
  const back = await readFilm(join(folder, "deep", "overlay.png"));
  for (let i = 0; i < 33 * 21; i++) assert.deepEqual([...back.data.subarray(3 * i, 3 * i + 3)], [...picture.data.subarray(4 * i, 4 * i + 3)]);
  assert.deepEqual(await readdir(join(folder, "deep")), ["overlay.png"]);
});

test("a place that cannot be written is an input error that names it", async () => {
  await writeFile(join(folder, "file"), "");
  const path = join(folder, "file", "overlay.png");
  await assert.rejects(writePng(path, heatPicture([0], 1, planPreprocess(4, 4, 4))), (error) => error instanceof InputError && error.message.startsWith(`${join(folder, "file")}: is a file, not a folder`));
});

test("npy files are what NumPy reads: version 1.0, float32, C order, data aligned to 64 bytes", async () => {
  const values = Float32Array.of(0, 0.25, -1, 1e-7, 3, 4);
  await writeNpy(join(folder, "map.npy"), values, [2, 3]);
  const file = await readFile(join(folder, "map.npy"));
  assert.deepEqual([...file.subarray(0, 8)], [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  const start = 10 + file.readUInt16LE(8);
  assert.equal(start % 64, 0);
  assert.match(file.toString("latin1", 10, start), /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(2, 3\), \} *\n$/);
  assert.deepEqual(Array.from(values, (_, i) => file.readFloatLE(start + 4 * i)), [...values]);
  assert.equal(file.length, start + 24);
  assert.match(new TextDecoder("latin1").decode(toNpy(values, [6])), /'shape': \(6,\)/);
});

test("a strip of words has one labelled panel a word, whatever the word is", async () => {
  const picture = heatPicture([0, 1, 0, 1], 2, planPreprocess(64, 64, 64));
  await writeWordsPng(join(folder, "words.png"), ["left", "<effusion> & \"more\"", "ödem"].map((word) => ({ word, picture })));
  const strip = await readFilm(join(folder, "words.png"));
  assert.deepEqual([strip.width, strip.height], [3 * 328 + 8, 320 + 36 + 8 + 8]);
  const inkBelow = [0, 1, 2].map((column) => darkPixels(strip, 8 + 328 * column, 328, 320, 36));
  assert.ok(inkBelow.every((count) => count > 100), `dark pixels of the labels: ${inkBelow}`);
});

test("a strip as SVG goes on in a second row and escapes what is markup", () => {
  const panels = Array.from({ length: 7 }, (_, i) => ({ word: `<${i}&`, href: "data:,\"", width: 100, height: 50 }));
  const svg = wordsSvg(panels);
  assert.match(svg, /^<svg [^>]*width="656" height="196">/);
  assert.equal(svg.match(/&lt;\d&amp;<\/text>/g)?.length, 7);
  assert.ok(!svg.includes('data:,""'));
});

function greyFilm(width: number, height: number, grey: number): Film {
  return { name: "film", width, height, channels: 1, data: new Uint8Array(width * height).fill(grey), notes: [] };
}

function pixel({ width, data }: Picture, x: number, y: number): number[] {
  return [...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4)];
}

function darkPixels({ width, data, channels }: Film, left: number, columns: number, top: number, rows: number): number {
  let count = 0;
  for (let y = top + 8; y < top + 8 + rows; y++) {
    for (let x = left; x < left + columns; x++) if (data[(y * width + x) * channels] < 100) count++;
  }
  return count;
}
