import assert from "node:assert/strict";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { randomValues, testGpu } from "../shaders-test/harness.ts";
import { type BioViL, embedFilm, embedPhrases, loadBioViL, mapPhrases, publishedImageWeights } from "../src/baselines/biovil.ts";
import { type PatchGrid, gridOverImage, similarityGrid, smoothed, unitVector } from "../src/baselines/similarity.ts";
import type { Film } from "../src/data/film.ts";
import { planPreprocess, planResizeCrop } from "../src/data/preprocess.ts";
import { InputError, WeightsError } from "../src/errors.ts";
import { narrowFloat16 } from "../src/float16.ts";
import { BertModel, readBertConfig } from "../src/models/bert.ts";
import { BioViLImageModel } from "../src/models/biovil.ts";
import { loadModel } from "../src/models/load.ts";
import { type Model, freeModel } from "../src/models/parameters.ts";
import { nodePlatform } from "../src/platform_node.ts";
import { loadTokenizer } from "../src/text/tokenizer.ts";
import { byFormula } from "../src/verify/formula.ts";
import { formulaSource } from "../src/verify/formula_source.ts";
import { writeSafetensorsFile } from "../src/weights/atomic_file_node.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { temporaryFolder } from "./cli_process.ts";
import { interpolateReference } from "./reference_resize.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();
const goldenModel = needsShared("goldens/tiny_ldm");

const grid = (side: number, seed: number): PatchGrid => ({ side, values: Float64Array.from(randomValues(side * side, seed)) });

describe("smoothing", () => {
  test("keeps a constant and the sum of all values, also of grids smaller than its reach", () => {
    for (const side of [1, 3, 15]) {
      assert.ok(smoothed({ side, values: new Float64Array(side * side).fill(0.3) }).values.every((value) => Math.abs(value - 0.3) < 1e-12));
      const { values } = grid(side, side);
      const sum = (of: Float64Array) => of.reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum(smoothed({ side, values }).values) - sum(values)) < 1e-12);
    }
  });

  test("spreads a single patch like a Gaussian", () => {
    const values = new Float64Array(15 * 15);
    values[7 * 15 + 7] = 1;
    const spread = smoothed({ side: 15, values }).values;
    assert.ok(Math.abs(spread[7 * 15 + 8] / spread[7 * 15 + 7] - Math.exp(-1 / 4.5)) < 1e-12);
    assert.ok(Math.abs(spread[9 * 15 + 8] / spread[7 * 15 + 7] - Math.exp(-5 / 4.5)) < 1e-12);
    assert.equal(spread[0], 0); // 7 patches away: beyond 4 deviations
  });

  test("cosines are those of directions, whatever the lengths", () => {
    const patches = [[3, 0], [0, 0.1], [-2, -2], [0, 0]].map(unitVector);
    const expected = smoothed({ side: 2, values: Float64Array.of(0.6, 0.8, -1.4 / Math.SQRT2, 0) });
    const { values } = similarityGrid(patches, unitVector([6, 8]));
    assert.ok(values.every((value, i) => Math.abs(value - expected.values[i]) < 1e-12));
  });
});

describe("a grid over an image", () => {
  const pixels = (width: number, height: number) => gridOverImage(grid(15, 1), planResizeCrop(width, height, 512, 480), planPreprocess(width, height, 512), 512);
  const enlarged = interpolateReference(grid(15, 1).values, { width: 15, height: 15 }, { width: 480, height: 480 });

  for (const [width, height] of [[1024, 1024], [2048, 1536], [600, 3000]]) {
    test(`of a film of ${width}x${height}: torch's interpolation in the middle, nothing seen around it`, () => {
      const { map, seen } = pixels(width, height);
      for (let i = 0; i < 512 * 512; i += 7) {
        const [x, y] = [(i % 512) - 16, Math.floor(i / 512) - 16];
        const isInside = x >= 0 && x < 480 && y >= 0 && y < 480;
        assert.equal(seen[i], Number(isInside), `${x}, ${y}`);
        if (isInside) assert.ok(Math.abs(map[i] - enlarged[y * 480 + x]) < 1e-6, `${x}, ${y}`);
      }
      assert.equal(map[0], grid(15, 1).values[0]);
    });
  }

  test("of a film that the diffusion model pads and BioViL enlarges", () => {
    // 256x256: BioViL sees pixels 8 to 248 of it, which lie at 136 to 376 of the padded image.
    const { map, seen } = pixels(256, 256);
    const row = 200;
    assert.deepEqual([135, 136, 375, 376].map((column) => seen[row * 512 + column]), [0, 1, 1, 0]);
    const at = (column: number) => map[row * 512 + column];
    // Every second pixel of the enlarged grid lies between two of these.
    const expected = (y: number, x: number) => (enlarged[y * 480 + x] + enlarged[y * 480 + x + 1] + enlarged[(y + 1) * 480 + x] + enlarged[(y + 1) * 480 + x + 1]) / 4;
    for (const column of [136, 200, 300, 375]) assert.ok(Math.abs(at(column) - expected(2 * (row - 136), 2 * (column - 136))) < 0.01);
  });
});

const textFolder = () => sharedPath("goldens/tiny_ldm/text_encoder") as string;
const tokenizerFolder = () => sharedPath("goldens/tiny_ldm/tokenizer") as string;
const textConfig = () => JSON.parse(readFileSync(join(textFolder(), "config.json"), "utf8"));
const film = (width: number, height: number, channels: 1 | 3 = 1): Film => ({ name: "film", width, height, channels, data: Uint8Array.from(randomValues(width * height * channels, 5), (value) => Math.round(127.5 * (1 + value))), notes: [] });

/** BioViL with a small image model by formula and the goldens' text encoder. */
async function smallBioViL(): Promise<BioViL> {
  const text = new BertModel(readBertConfig("config.json", textConfig()), { withProjection: true });
  const image = new BioViLImageModel({ encoder: { layers: [1, 1, 1, 1], width: 4 }, projection: text.config.projection as number });
  const load = (model: Model) => loadModel(gpu, model, formulaSource("weights", Object.fromEntries([...model.parameters].map(([name, { shape }]) => [name, shape]))));
  await load(text);
  await load(image);
  const tokenizer = await loadTokenizer(async (name) => readFileSync(join(tokenizerFolder(), name), "utf8"), { where: "tokenizer" });
  return { gpu, name: "small", image, text, tokenizer, sha256: "", free: () => [text, image].forEach(freeModel) };
}

describe("BioViL", goldenModel, () => {
  test("maps phrases over a film: cosines, smoothed, enlarged, a mask of the map's own", async () => {
    const biovil = await smallBioViL();
    const phrases = ["left pleural effusion", "pneumothorax"];
    const [left, right] = await mapPhrases(biovil, film(600, 520), phrases, 512);
    const { patches, plan } = await embedFilm(biovil, film(600, 520));
    const embedded = await embedPhrases(biovil, phrases);
    assert.equal(patches.length, 15 * 15);
    assert.ok([...patches, ...embedded].every((vector) => Math.abs(Math.hypot(...vector) - 1) < 1e-9));
    assert.deepEqual(left.grid, similarityGrid(patches, embedded[0]));
    assert.deepEqual([left.side, left.imageSize, left.map.length, left.mask.length], [64, 512, 4096, 4096]);
    assert.deepEqual([Math.min(...left.map), Math.max(...left.map)], [0, 1]);
    assert.deepEqual(left.seen, gridOverImage(left.grid, plan, planPreprocess(600, 520, 512), 64).seen);
    assert.ok(left.mask.includes(1) && left.mask.includes(0));
    assert.notDeepEqual(left.map, right.map);
    biovil.free();
  });

  test("a phrase means the same alone and beside a longer one, grey films the same in colour", async () => {
    const biovil = await smallBioViL();
    const [alone] = await embedPhrases(biovil, ["effusion"]);
    const [beside] = await embedPhrases(biovil, ["effusion", "there is a small left pleural effusion and a right pneumothorax"]);
    assert.ok(alone.every((value, i) => Math.abs(value - beside[i]) < 1e-5));
    const grey = film(100, 90);
    const colour: Film = { ...grey, channels: 3, data: Uint8Array.from({ length: 3 * grey.data.length }, (_, i) => grey.data[Math.floor(i / 3)]) };
    assert.deepEqual((await embedFilm(biovil, colour)).patches, (await embedFilm(biovil, grey)).patches);
    biovil.free();
  });

  test("loads from a folder as it is published", async () => {
    const folder = temporaryFolder();
    for (const from of [textFolder(), tokenizerFolder()]) for (const name of readdirSync(from)) copyFileSync(join(from, name), join(folder, name));
    const open = () => loadBioViL(gpu, nodePlatform, openFolder(folder));
    await assert.rejects(open(), (error) => error instanceof WeightsError && error.message.includes(publishedImageWeights));
    const halves = [...new BioViLImageModel().parameters].map(([name, { shape }]) => ({ name, shape: [...shape], dtype: "F16" as const, chunks: () => [new Uint8Array(narrowFloat16(byFormula(name, shape)).buffer)] }));
    const counters = [{ name: "encoder.encoder.bn1.num_batches_tracked", shape: [], dtype: "I64" as const, chunks: () => [new Uint8Array(8)] }];
    await writeSafetensorsFile(join(folder, publishedImageWeights), [...halves, ...counters]);
    const biovil = await open();
    assert.match(biovil.sha256, /^[0-9a-f]{64}$/);
    biovil.free();
    const { projection_size: _, ...plain } = textConfig();
    writeFileSync(join(folder, "config.json"), JSON.stringify(plain));
    await assert.rejects(open(), (error) => error instanceof InputError && /has no projection_size/.test(error.message));
  });
});
