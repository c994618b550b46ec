import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { encode } from "fast-png";
import { CheckFailed, reportError } from "../src/cli/command.ts";
import { dataCommand } from "../src/cli/data_command.ts";
import { type CheckOptions, checkDataset } from "../src/data/layouts/check_node.ts";
import { findDatasets } from "../src/data/layouts/find_node.ts";
import type { DataProblem } from "../src/data/layouts/layout.ts";
import { openDataset } from "../src/data/layouts/open_node.ts";
import { InputError } from "../src/errors.ts";
import { temporaryFolder } from "./weights_files.ts";

const MIMIC = "mimic_metadata_preprocessed.csv";
const MS_CXR = "MS_CXR_Local_Alignment_v1.0.0.csv";
const mimicHeader = "dicom_id,path,impression,split,Finding Labels";
const msCxrHeader = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height";

/** A grey image of 40 x 30 pixels. */
const image = encode({ width: 40, height: 30, channels: 1, depth: 8, data: new Uint8Array(1200).fill(90) });

/** A folder with a table of these lines and good images `a.png` to `e.png`. */
async function dataset(t: TestContext, table: string, lines: readonly string[]): Promise<string> {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, table), `${lines.join("\n")}\n`);
  await mkdir(join(folder, "files"));
  for (const letter of "abcde") await writeFile(join(folder, `files/${letter}.png`), image);
  return folder;
}

async function problemsOf(folder: string, options: Partial<CheckOptions> = {}): Promise<string[]> {
  const problems: DataProblem[] = [];
  const [found] = await findDatasets(folder);
  const report = await checkDataset(found, { decode: true, ...options, onProblem: (problem) => problems.push(problem) });
  assert.equal(report.problems, problems.length);
  for (const { file } of problems) assert.equal(file, found.file);
  return problems.map(({ line, fact }) => `${line}: ${fact.replaceAll(folder, "DIR")}`);
}

test("a good data set has no problems", async (t) => {
  const lines = [
    // As the published table is written: other columns, a blank in the last name, splits as numbers, names of DICOM files.
    "\uFEFFdicom_id,subject_id,path,split,impression,Finding Labels ",
    'a,1,files/a.png,1,"no change,\nclear lungs",No Finding',
    "b,1,files/b.png,2,edema|mild edema,Edema|Pleural Effusion",
    "c,1,files/c.png,3,stable,",
  ];
  const folder = await dataset(t, MIMIC, lines);
  assert.deepEqual(await problemsOf(folder), []);
  const samples = [];
  for await (const sample of await openDataset(folder)) samples.push(sample);
  const told = samples.map(({ id, split, line, label }) => [id, split, line, label]);
  assert.deepEqual(told, [
    ["a", "train", 2, "No Finding"],
    ["b", "validate", 4, "Edema|Pleural Effusion"],
    ["c", "p19", 5, ""],
  ]);
  assert.equal(samples[0].caption, "no change,\nclear lungs");
});

test("the paths of DICOM files stand for the JPEG files made of them", async (t) => {
  const folder = await dataset(t, MIMIC, [mimicHeader, "x,files/x.dcm,clear lungs,train,No Finding"]);
  for await (const { imagePath } of await openDataset(folder)) assert.equal(imagePath, join(folder, "files/x.jpg"));
});

test("every bad row of MIMIC-CXR-JPG is listed with its line", async (t) => {
  const folder = await dataset(t, MIMIC, [
    mimicHeader,
    "a,files/a.png,clear lungs,train,No Finding",
    "b,files/missing.png,clear lungs,train,No Finding",
    'c,files/c.png,"  ",train,No Finding',
    "d,files/d.png,|,test,Edema",
    "a,files/e.png,clear lungs,train,No Finding",
    "f,files/e.png,edema,learn,Edema",
    "g,files/e.png,hernia,train,Edema|Hernia",
    "h,files/e.png,too few",
    ",,,,",
    'j,files/e.png,"say "clear" lungs",train,No Finding',
    "k,files/broken.png,clear lungs,train,No Finding",
    "l,files/text.png,clear lungs,train,No Finding",
    "m,files,clear lungs,train,No Finding",
  ]);
  await writeFile(join(folder, "files/broken.png"), image.subarray(0, image.length - 20));
  await writeFile(join(folder, "files/text.png"), "no image");
  const problems = await problemsOf(folder);
  const expected = [
    /^4: impression has no text$/,
    /^5: impression has no text$/,
    /^6: dicom_id a is there already, on line 2$/,
    /^7: split is "learn", not one of .*train/,
    /^8: Finding Labels has the unknown label "Hernia"; known are Atelectasis, /,
    /^9: has 3 fields where the header has 5$/,
    /^10: dicom_id is empty$/,
    /^10: path is empty$/,
    /^10: impression has no text$/,
    /^10: split is "", not one of/,
    /^11: is malformed CSV: a quote/,
    /^3: DIR\/files\/missing\.png: no such file/,
    /^12: DIR\/files\/broken\.png: is a damaged or truncated PNG file/,
    /^13: DIR\/files\/text\.png: is not a PNG, JPEG or DICOM image/,
    /^14: DIR\/files: is a folder/,
  ];
  assert.equal(problems.length, expected.length, problems.join("\n"));
  for (const [i, pattern] of expected.entries()) assert.match(problems[i].replaceAll("\\", "/"), pattern);
});

test("every bad row of MS-CXR is listed with its line", async (t) => {
  const good = (id: string, box: string) => `${id},Edema,pulmonary edema,files/${id}.png,${box},40,30`;
  const folder = await dataset(t, MS_CXR, [
    msCxrHeader,
    good("a", "0,0,40,30"),
    good("a", "1,2,3,4"),
    good("a", "1,2,3,4"),
    good("b", "30,20,11,5"),
    good("b", "-1,20,5,5"),
    good("c", "1,25,5,5.5"),
    good("c", "1,2,0,5"),
    good("c", "1,two,3,5"),
    good("c", "1,,3,5"),
    "d,Hernia,hiatal hernia,files/d.png,1,2,3,4,40,30",
    "d,Edema,,files/d.png,1,2,3,4,40,30",
    "e,Edema,pulmonary edema,files/e.png,1,2,3,4,400,300",
  ]);
  assert.deepEqual(await problemsOf(folder), [
    "4: box 1, 2, 3, 4 of dicom_id a and its text is there already, on line 3",
    "5: the box 30, 20, 11, 5 (x, y, w, h) is not inside the image of 40 x 30",
    "6: the box -1, 20, 5, 5 (x, y, w, h) is not inside the image of 40 x 30",
    "7: the box 1, 25, 5, 5.5 (x, y, w, h) is not inside the image of 40 x 30",
    "8: the box 1, 2, 0, 5 has no area",
    '9: y is "two", not a number',
    '10: y is "", not a number',
    '11: category_name has the unknown label "Hernia"; known are Atelectasis, Cardiomegaly, Consolidation, Edema, Lung Opacity, Pleural Effusion, Pneumonia, Pneumothorax',
    "12: label_text has no text",
    `13: ${join("DIR", "files/e.png")}: has 40 x 30 pixels, the table says 400 x 300`,
  ]);
});

test("a text that lost one of its boxes is left out", async (t) => {
  const folder = await dataset(t, MS_CXR, [
    msCxrHeader,
    "a,Edema,pulmonary edema,files/a.png,1,2,3,4,40,30",
    "a,Edema,pulmonary edema,files/a.png,1,2,99,4,40,30",
    "b,Edema,pulmonary edema,files/b.png,1,2,3,4,40,30",
    "b,Edema,pulmonary edema,files/b.png,11,2,3,4,40,30",
  ]);
  const lines: number[] = [];
  const samples = [];
  for await (const sample of await openDataset(folder, { onProblem: ({ line }) => lines.push(line) })) samples.push(sample);
  assert.deepEqual(lines, [3]);
  assert.deepEqual(samples.map(({ id, boxes }) => [id, boxes]), [["b", [[1, 2, 3, 4], [11, 2, 3, 4]]]]);
  await assert.rejects(async () => {
    for await (const _ of await openDataset(folder)) continue;
  }, (error) => error instanceof InputError && error.message.startsWith(`${join(folder, MS_CXR)}:3: the box`));
});

test("missing columns are named", async (t) => {
  const folder = await dataset(t, MIMIC, ["dicom_id,path,split", "a,files/a.png,train"]);
  assert.deepEqual(await problemsOf(folder), ["1: lacks columns of the MIMIC-CXR-JPG layout: impression, Finding Labels"]);
});

test("tables without rows and empty tables are problems", async (t) => {
  assert.deepEqual(await problemsOf(await dataset(t, MIMIC, [mimicHeader])), ["1: has no rows"]);
  const folder = await dataset(t, MIMIC, []);
  await writeFile(join(folder, MIMIC), "");
  assert.deepEqual(await problemsOf(folder), ["1: is empty"]);
});

test("images may lie elsewhere, and need not be decoded", async (t) => {
  const folder = await dataset(t, MIMIC, [mimicHeader, "a,files/a.png,clear lungs,train,No Finding", "f,files/f.png,clear lungs,train,No Finding"]);
  const images = await dataset(t, "notes.txt", []);
  await writeFile(join(images, "files/f.png"), "no image");
  assert.equal((await problemsOf(folder, { images })).length, 1);
  assert.deepEqual(await problemsOf(folder, { images, decode: false }), []);
  await rm(join(images, "files/a.png"));
  assert.equal((await problemsOf(folder, { images, decode: false })).length, 1);
});

/** Runs `attnscope data …` in this process: what it prints on stdout, and the code it ends with. */
async function run(t: TestContext, ...args: string[]): Promise<{ stdout: string; code: number }> {
  const printed: string[] = [];
  const write = t.mock.method(process.stdout, "write", (text: string) => printed.push(text) > 0);
  const command = dataCommand();
  for (const each of [command, ...command.commands]) each.exitOverride();
  try {
    await command.parseAsync(args, { from: "user" });
    return { stdout: printed.join(""), code: 0 };
  } catch (error) {
    if (error instanceof CheckFailed) return { stdout: printed.join(""), code: 1 };
    return { stdout: printed.join(""), code: reportError(error) };
  } finally {
    write.mock.restore();
    process.removeAllListeners("SIGINT");
    process.removeAllListeners("SIGTERM");
  }
}

test("the command makes a phantom, checks it, and finds what was broken", async (t) => {
  const folder = await temporaryFolder(t);
  const out = join(folder, "phantom");
  const made = await run(t, "phantom", "--out", out, "--count", "6", "--validate", "2", "--test", "8", "--seed", "3", "--size", "32", "--json");
  assert.equal(made.code, 0);
  const { films, drawn, counts } = JSON.parse(made.stdout);
  assert.deepEqual([films, drawn, counts], [32, 32, { train: 6, validate: 2, test: 8, single: 8, pairs: 8 }]);
  const clean = await run(t, "check", out);
  assert.equal(clean.code, 0);
  assert.equal(clean.stdout.trim().split("\n").length, 3);
  const film = join(out, "mimic-cxr-jpg/files/p10/phantom-3-train-000004.png");
  await writeFile(film, (await readFile(film)).subarray(0, 60));
  const broken = await run(t, "check", out);
  assert.equal(broken.code, 1);
  assert.match(broken.stdout, /mimic_metadata_preprocessed\.csv:6: .*train-000004\.png: is a damaged or truncated PNG file/);
  const asJson = await run(t, "check", join(out, "mimic-cxr-jpg"), "--json");
  assert.equal(asJson.code, 1);
  const { problems, datasets } = JSON.parse(asJson.stdout);
  assert.deepEqual([problems, datasets.length, datasets[0].samples, datasets[0].problems[0].line], [1, 1, 16, 6]);
});

test("what holds no data set and what is no number is bad input", async (t) => {
  const folder = await temporaryFolder(t);
  for (const location of [folder, join(folder, "missing")]) assert.equal((await run(t, "check", location)).code, 2);
  assert.equal((await run(t, "phantom", "--out", folder, "--count", "-3")).code, 2);
  assert.equal((await run(t, "phantom", "--count", "3")).code, 2);
  const both = await dataset(t, MIMIC, [mimicHeader, "a,files/a.png,clear lungs,train,No Finding"]);
  await writeFile(join(both, MS_CXR), `${msCxrHeader}\na,Edema,edema,files/a.png,1,2,3,4,40,30\n`);
  await assert.rejects(openDataset(both), (error) => error instanceof InputError && /several data sets/.test(error.message));
  assert.equal((await openDataset(join(both, MS_CXR))).layout.name, "MS-CXR");
  const checked = await run(t, "check", both);
  assert.deepEqual([checked.code, checked.stdout.trim().split("\n").length], [0, 2]);
  assert.equal(dirname((await openDataset(join(both, MIMIC))).file), both);
});
