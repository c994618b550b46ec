import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { encode } from "fast-png";
import { readFilm } from "../src/data/decode_node.ts";
import type { ResultRecord } from "../src/report/result_record.ts";
import { type Outcome, runCli, samples, temporaryFolder } from "./cli_process.ts";

const cache = temporaryFolder();
const films = temporaryFolder();
const twin = join(films, "twin", "film_05.png"); // another film of the same name
mkdirSync(join(films, "twin"));
writeFileSync(twin, readFileSync(join(samples, "film_06.png")));
const truncated = join(films, "truncated.png");
writeFileSync(truncated, readFileSync(join(samples, "film_00.png")).subarray(0, 3000));

/** Every file below a folder with its bytes; `run` is taken out of the records and the report is left out. */
function stableFiles(out: string): Map<string, string> {
  const paths = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((path) => /\.\w+$/.test(path) && path !== "report.html");
  return new Map(paths.sort().map((path) => {
    const bytes = readFileSync(join(out, path));
    if (!path.endsWith("result.json")) return [path, bytes.toString("base64")];
    const { run: _, ...stable } = JSON.parse(bytes.toString("utf8"));
    return [path, JSON.stringify(stable)];
  }));
}

/** Values of a float32 `.npy` file. */
function readNpy(path: string): Float32Array {
  const bytes = readFileSync(path);
  return new Float32Array(new Uint8Array(bytes.subarray(10 + bytes.readUInt16LE(8))).buffer);
}

describe("every image with every phrase", () => {
  const phrase = "moderate pleural effusion on the left";
  const phrases = [phrase, "Moderate pleural effusion, on the left.", "of the"];
  const boxes = join(samples, "films.json");
  const run = (out: string, ...more: string[]) =>
    runCli(["ground", join(samples, "film_05.png"), truncated, twin, "--phrase", ...phrases, "--boxes", boxes, "--steps", "3", "--per-word", "--json", "--out", out, ...more], { cache });
  const out = join(films, "auto");
  let outcome: Outcome;
  before(async () => {
    outcome = await run(out);
  });

  test("goes on after a bad image and says so: exit code 2, one line for it", () => {
    assert.equal(outcome.code, 2, outcome.stderr);
    assert.deepEqual(outcome.stderr.trimEnd().split("\n").filter((line) => line.startsWith("attnscope:")), [
      `attnscope: ${truncated}: is a damaged or truncated PNG file; export it again`,
      "attnscope: 1 image could not be used; the results of the others are kept",
    ]);
    assert.match(outcome.stderr, /^note: .*films\.json has no boxes for .*twin.film_05\.png$/m);
    assert.match(outcome.stderr, /^note: "of the": no adjective, noun or verb in the phrase: all tokens are used$/m);
  });

  test("--json prints one object and nothing else", () => {
    assert.match(outcome.stdout, /^[^\n]+\n$/);
    const printed = JSON.parse(outcome.stdout);
    assert.equal(printed.results.length, 6);
    assert.deepEqual(printed.failures.map(({ path }: { path: string }) => path), [truncated]);
    assert.equal(printed.interrupted, false);
    assert.ok(printed.cost.unetEvaluations < printed.cost.published.unetEvaluations);
    assert.ok(printed.cost.bytesReadBack < printed.cost.published.bytesReadBack);
  });

  test("two images of one name and two phrases of one slug stay apart; nothing temporary is left", () => {
    const folders = readdirSync(out).filter((name) => name !== "report.html").sort();
    const slug = "film_05__moderate-pleural-effusion-on-the-left";
    assert.deepEqual(folders, [slug, `${slug}-2`, `${slug}-3`, `${slug}-4`, "film_05__of-the", "film_05__of-the-2"]);
    for (const folder of folders) {
      assert.deepEqual(readdirSync(join(out, folder)).sort(), ["heat.png", "map.npy", "mask.png", "overlay.png", "result.json", "words.png"]);
    }
    const records: ResultRecord[] = folders.map((folder) => JSON.parse(readFileSync(join(out, folder, "result.json"), "utf8")));
    assert.equal(new Set(records.map(({ image, phrase }) => image.sha256 + phrase)).size, folders.length);
    assert.equal(records.filter(({ reference }) => reference).length, 3); // the twin has other boxes, if any
  });

  test("the record holds what the map came from", () => {
    const folder = join(out, "film_05__moderate-pleural-effusion-on-the-left");
    const record: ResultRecord = JSON.parse(readFileSync(join(folder, "result.json"), "utf8"));
    assert.equal(record.phrase, phrase);
    assert.match(record.image.sha256, /^[0-9a-f]{64}$/);
    assert.match(record.model.sha256, /^[0-9a-f]{64}$/);
    assert.deepEqual([record.mode, record.steps, record.seed, record.dtype, record.settings.merge], ["gt", 3, 4200, "f32", "mixture"]);
    assert.deepEqual(record.words.filter(({ kept }) => kept).map(({ text }) => text), ["moderate", "pleural", "effusion", "left"]);
    assert.ok(record.words.every(({ why }) => why !== ""));
    assert.ok(Math.abs(record.tokens.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-6);
    assert.ok(record.s !== undefined && record.s >= 0 && record.s <= 1);
    assert.ok(record.boxes.length > 0 && record.boxes.every(({ meanActivation }) => meanActivation > 0 && meanActivation <= 1));
    const films: { image: string; boxes_xywh: number[][] }[] = JSON.parse(readFileSync(join(samples, "films.json"), "utf8"));
    const boxes = films.find(({ image }) => image === "film_05.png")?.boxes_xywh.map(([x, y, w, h]) => ({ x, y, w, h }));
    assert.deepEqual(record.reference?.boxes, boxes);
    assert.ok(record.run.gpuBytesPeak > 0 && record.run.bytesReadBack > 0);
    assert.ok(["encode", "main pass", "text bias", "merge"].every((stage) => record.run.timings[stage] > 0));
    assert.ok(record.adapter !== "" && record.driver !== "" && record.version !== "");
    const map = readNpy(join(folder, "map.npy"));
    assert.deepEqual([map.length, Math.min(...map), Math.max(...map)], [record.map.side ** 2, 0, 1]);
    assert.equal(map[record.argmax.cell.y * record.map.side + record.argmax.cell.x], 1);
  });

  test("the report is one file that loads nothing", () => {
    const page = readFileSync(join(out, "report.html"), "utf8");
    assert.equal(page.match(/<article/g)?.length, 6);
    assert.doesNotMatch(page, /<script|<link|https?:|src="(?!data:)/);
    assert.match(page, /Left out: [^<]*truncated\.png/);
  });

  for (const batch of ["1", "7"]) {
    test(`--batch ${batch} gives the same bytes`, async () => {
      const other = join(films, `batch-${batch}`);
      const { code, stderr } = await run(other, "--batch", batch, "--no-cache");
      assert.equal(code, 2, stderr);
      assert.deepEqual(stableFiles(other), stableFiles(out));
    });
  }
});

test("an interruption keeps what was finished and nothing half-written: exit code 130", async () => {
  const out = join(films, "interrupted");
  const images = readdirSync(samples).filter((name) => name.endsWith(".png")).map((name) => join(samples, name));
  const { code, stdout, stderr } = await runCli(["ground", ...images, "--phrase", "effusion", "--steps", "2", "--batch", "1", "--merge", "none", "--out", out], {
    cache,
    interruptAt: "effusion: peak",
  });
  assert.equal(code, 130, stderr);
  assert.match(stderr, /interrupted; what was finished is kept\n$/);
  assert.equal(stdout, `${join(out, "report.html")}\n`);
  const folders = readdirSync(out).filter((name) => name !== "report.html");
  assert.ok(folders.length >= 1 && folders.length < images.length, `${folders.length} of ${images.length}`);
  for (const folder of folders) {
    assert.match(folder, /^film_\d\d__effusion$/);
    assert.deepEqual(readdirSync(join(out, folder)).sort(), ["heat.png", "map.npy", "mask.png", "overlay.png", "result.json"]);
  }
});

test("a film that the model was not made for is warned of, once", async () => {
  const out = join(films, "foreign");
  const paths = ["a.png", "b.png"].map((name) => join(films, name));
  for (const path of paths) writeFileSync(path, encode({ width: 90, height: 70, channels: 1, data: new Uint8Array(90 * 70).map((_, i) => i) }));
  const { code, stderr } = await runCli(["ground", ...paths, "--phrase", "effusion", "--steps", "1", "--merge", "none", "--out", out], { cache });
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/maps on real films mean nothing/g)?.length, 1);
  const record: ResultRecord = JSON.parse(readFileSync(join(out, "a__effusion", "result.json"), "utf8"));
  assert.equal(record.warnings.length, 2);
  assert.match(stderr, /^warning: films smaller than the model's 128 x 128 pixels are padded, not enlarged$/m);
});

test("--dicom leaves both objects too, and nothing of the source's headers anywhere", async () => {
  const out = join(films, "dicom");
  const source = "test/films/explicit_little_u12.dcm";
  assert.ok(readFileSync(source, "latin1").includes("Secret"));
  const { code, stdout, stderr } = await runCli(["ground", source, "--phrase", "effusion", "--steps", "1", "--merge", "none", "--dicom", "--json", "--out", out], { cache });
  assert.equal(code, 0, stderr);
  const folder = join(out, "explicit_little_u12__effusion");
  assert.deepEqual(readdirSync(folder).sort(), ["heat.png", "map.npy", "mask.png", "overlay.dcm", "overlay.png", "result.json", "segmentation.dcm"]);
  const [picture, object] = [await readFilm(join(folder, "overlay.png")), await readFilm(join(folder, "overlay.dcm"))];
  assert.deepEqual(object.data, picture.data);
  const written = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((path) => /\.\w+$/.test(path));
  for (const text of [stdout, stderr, ...written.map((path) => readFileSync(join(out, path), "latin1"))]) assert.ok(!text.includes("Secret"));
});

describe("bad input is one line, exit code 2, and leaves nothing", () => {
  const film = join(samples, "film_00.png");
  const file = join(films, "a-file");
  writeFileSync(file, "");
  const model = join(films, "foreign-model");
  const cases: [name: string, args: string[], message: RegExp][] = [
    ["no image", [], /^attnscope: IMAGE: no image is named; put the images before --phrase/],
    ["an image that is missing", [join(films, "nowhere.png")], /nowhere\.png: no such file; check the path$/],
    ["an image that is truncated", [truncated], /truncated\.png: is a damaged or truncated PNG file/],
    ["an image without bytes", [file], /a-file: is empty \(0 bytes\)/],
    ["a folder for an image", [films], /is a folder; name the image files in it$/],
    ["a file that is not an image", ["package.json"], /package\.json: is not a PNG, JPEG or DICOM image/],
    ["an image of 20,000 pixels", ["test/films/bad_png_too_wide.png"], /is larger than 16,384 pixels on a side/],
    ["a DICOM file without pixels", ["test/films/bad_no_pixels.dcm"], /is a DICOM file without pixels/],
    ["an empty phrase", [film, "--phrase", " "], /^attnscope: --phrase: is empty; say what to look for$/],
    ["a number that is none", [film, "--steps", "ten"], /--steps <n>' argument 'ten' is invalid\. It is not a number/],
    ["too few steps", [film, "--steps", "0"], /^attnscope: --steps: 0 is not an integer from 1 to 1000$/],
    ["a list of layers that is none", [film, "--layers", "1,,2"], /--layers <list>' argument '1,,2' is invalid/],
    ["no label", [film, "--tokens", "disease"], /^attnscope: --label: is needed by --tokens disease/],
    ["an unknown mode", [film, "--mode", "ddim"], /Allowed choices are gt, gt1, cfg, text/],
    ["a boxes file that is none", [film, "--boxes", film], /film_00\.png: is not JSON/],
    ["an output folder below a file", [film, "--out", join(file, "below")], /below: cannot be written \(ENOTDIR\); choose a place that can be written$/],
    ["an output folder that is a file", [film, "--out", file], /a-file: is a file, not a folder; choose another place$/],
    ["a model that is missing", [film, "--model", model], /foreign-model\/unet\/config\.json: no such file; check the path$/],
  ];
  for (const [name, args, message] of cases) {
    test(name, async () => {
      const out = join(films, "nothing", "here");
      const phrase = args.includes("--phrase") ? [] : ["--phrase", "effusion"];
      const place = args.includes("--out") ? [] : ["--out", out];
      const { code, stdout, stderr } = await runCli(["ground", ...args, ...phrase, ...place], { cache });
      assert.match(stderr, /^[^\n]+\n$/);
      assert.match(stderr.trimEnd(), message);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.equal(existsSync(join(films, "nothing")), false);
    });
  }

  test("a batch that does not fit: what it needs, and one that fits", async () => {
    const args = [film, twin, "--phrase", "effusion", "--merge", "none", "--steps", "50", "--memory-budget", "24"];
    const out = join(films, "tight");
    const { code, stderr } = await runCli(["ground", ...args, "--batch", "4096", "--out", out], { cache });
    assert.equal(code, 2);
    const [, needed, fitting] = stderr.match(/^attnscope: --batch: 4096 needs about (\d+) MiB of GPU memory, and 24 MiB may be used; use --batch (\d+), which fits, or --dtype f16\n$/) ?? [];
    assert.ok(Number(needed) > 24 && Number(fitting) >= 1, stderr);
    assert.equal(existsSync(out), false);
  });
});
