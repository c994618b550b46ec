import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { encode } from "fast-png";
import { checkDataset } from "../src/data/layouts/check_node.ts";
import { msCxrCoco } from "../src/data/layouts/coco.ts";
import { type DatasetName, findDatasets } from "../src/data/layouts/find_node.ts";
import type { DataProblem, DataSample } from "../src/data/layouts/layout.ts";
import { openDataset } from "../src/data/layouts/open_node.ts";
import { InputError } from "../src/errors.ts";
import { temporaryFolder } from "./weights_files.ts";

const MS_CXR = "MS_CXR_Local_Alignment_v1.0.0";
const boxHeader = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height";

/** A folder with these files; those named *.png get a grey image of 40 x 30 pixels. */
async function folderOf(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), name.endsWith(".png") ? encode({ width: 40, height: 30, channels: 1, depth: 8, data: new Uint8Array(1200) }) : text);
  }
  return folder;
}

const lines = (...rows: string[]) => `${rows.join("\n")}\n`;

async function samplesOf(location: string, dataset?: DatasetName): Promise<DataSample[]> {
  const samples: DataSample[] = [];
  for await (const sample of await openDataset(location, { dataset })) samples.push(sample);
  return samples;
}

async function problemsOf(location: string): Promise<string[]> {
  const problems: DataProblem[] = [];
  const [dataset] = await findDatasets(location);
  await checkDataset(dataset, { decode: true, onProblem: (problem) => problems.push(problem) });
  return problems.map(({ line, fact }) => `${line}: ${fact.replaceAll(location, "DIR")}`);
}

const withoutLines = (samples: readonly DataSample[]) => samples.map(({ line: _, ...sample }) => sample);

test("MS-CXR is the same from its rows of boxes, its JSON file and the authors' joined boxes", async (t) => {
  const table = lines(
    boxHeader,
    "a,Pneumonia,patchy opacity,files/p10/a.dcm,1,2,3,4,40,30",
    "a,Edema,mild edema,files/p10/a.dcm,0,0,40,30,40,30",
    "a,Pneumonia,patchy opacity,files/p10/a.dcm,11,12,3,4,40,30",
    "b,Edema,edema|haze,files/p10/b.jpg,5,6,7,8,40,30",
  );
  const shared = { width: 40, height: 30 };
  const json = msCxrCoco(
    [
      { id: "a", path: "files/p10/a.dcm", category: "Pneumonia", text: "patchy opacity", boxes: [[1, 2, 3, 4], [11, 12, 3, 4]], ...shared },
      { id: "a", path: "files/p10/a.dcm", category: "Edema", text: "mild edema", boxes: [[0, 0, 40, 30]], ...shared },
      { id: "b", path: "files/p10/b.jpg", category: "Edema", text: "edema|haze", boxes: [[5, 6, 7, 8]], ...shared },
    ],
    "three phrases",
  );
  const joined = lines(
    ",dicom_id,category_name,label_text,paths,bboxxywh,image_width,image_height",
    "0,a,Pneumonia,patchy opacity,files/p10/a.dcm,1-2-3-4|11-12-3-4,40,30",
    "1,a,Edema,mild edema,files/p10/a.dcm,0-0-40-30,40,30",
    "2,b,Edema,edema|haze,files/p10/b.jpg,5.0-6.0-7.0-8.0,40,30",
  );
  const folder = await folderOf(t, { [`${MS_CXR}.csv`]: table, [`${MS_CXR}.json`]: JSON.stringify(json), "mimi_scxr_phrase_grounding_preprocessed.csv": joined });
  const expected = withoutLines(await samplesOf(folder));
  assert.deepEqual(expected.map(({ id, caption, boxes }) => [id, caption, boxes]), [
    ["a", "patchy opacity", [[1, 2, 3, 4], [11, 12, 3, 4]]],
    ["a", "mild edema", [[0, 0, 40, 30]]],
    ["b", "edema|haze", [[5, 6, 7, 8]]],
  ]);
  assert.equal(expected[0].imagePath, join(folder, "files/p10/a.jpg"));
  for (const name of [`${MS_CXR}.json`, "mimi_scxr_phrase_grounding_preprocessed.csv"]) assert.deepEqual(withoutLines(await samplesOf(join(folder, name))), expected);
});

test("a table of any name is read as what it is said to be", async (t) => {
  const folder = await folderOf(t, { "mine.csv": lines(boxHeader, "a,Edema,edema,a.png,1,2,3,4,40,30"), "a.png": "" });
  assert.deepEqual(await problemsOf(join(folder, "mine.csv")), ["1: lacks columns of the plain layout: image, phrase, label, boxes"]);
  assert.equal((await samplesOf(join(folder, "mine.csv"), "ms-cxr"))[0].caption, "edema");
  await assert.rejects(openDataset(folder, { dataset: "ms-cxr" }), (error) => error instanceof InputError && /needs MS_CXR_Local_Alignment/.test(error.message));
});

test("the second release of MS-CXR has splits", async (t) => {
  const row = (id: string, split: string) => `${id},Edema,edema,${id}.png,1,2,3,4,40,30,${split}`;
  const folder = await folderOf(t, { "MS_CXR_Local_Alignment_v1.1.0.csv": lines(`${boxHeader},split`, row("a", "train"), row("b", "test"), row("c", "val")) });
  assert.deepEqual((await samplesOf(folder)).map(({ split }) => split), ["train", "test", "validate"]);
});

test("a COCO file's faults are told", async (t) => {
  const good = { categories: [{ id: 1, name: "Edema" }], images: [{ id: 7, file_name: "a.png", path: "a.png", width: 40, height: 30 }] };
  const annotation = { image_id: 7, category_id: 1, label_text: "edema", bbox: [1, 2, 3, 4] };
  const annotations = [annotation, { ...annotation, image_id: 8, label_text: "no film" }, { ...annotation, bbox: [1, 2, 3], label_text: "no box" }, { ...annotation, category_id: 2, label_text: "no label" }, annotation];
  const folder = await folderOf(t, { [`${MS_CXR}.json`]: JSON.stringify({ ...good, annotations }), "a.png": "" });
  const problems = await problemsOf(folder);
  assert.ok(problems.includes("2: dicom_id is empty"), problems.join("\n"));
  assert.ok(problems.includes('3: x is "", not a number'));
  assert.ok(problems.some((problem) => problem.startsWith('4: category_name has the unknown label ""')));
  assert.ok(problems.includes("5: box 1, 2, 3, 4 of dicom_id a and its text is there already, on line 1"));
  for (const [text, fact] of [[JSON.stringify({ images: [] }), /lacks the lists of a COCO file: categories, annotations;/], ["{", /is not JSON/]] as const) {
    const broken = await folderOf(t, { [`${MS_CXR}.json`]: text });
    await assert.rejects(problemsOf(broken), (error) => error instanceof InputError && fact.test(error.message));
  }
});

test("ChestX-ray14's boxes: the header as it is, boxes joined, images in the folders of the archives", async (t) => {
  const table = lines(
    "Image Index,Finding Label,Bbox [x,y,w,h],,,",
    "00000001_000.png,Atelectasis,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661,,,",
    "00000001_000.png,Atelectasis,686.101694915254,131.543498411017,185.491525423729,313.491525423729,,,",
    "00000001_000.png,Effusion,0,0,1024,1024,,,",
    "00000002_000.png,Mass,1,2,3,4,,,",
    "00000002_000.png,Hernia,1,2,3,4,,,",
    "00000002_000.png,Nodule,1000,2,30,4,,,",
  );
  const folder = await folderOf(t, { "BBox_List_2017.csv": table, "images_001/images/00000001_000.png": "", "00000002_000.png": "" });
  const told: string[] = [];
  const samples: DataSample[] = [];
  for await (const sample of await openDataset(folder, { dataset: "chestxray14", onProblem: ({ line, fact }) => told.push(`${line}: ${fact}`) })) samples.push(sample);
  assert.deepEqual(samples.map(({ caption, boxes, imagePath }) => [caption, boxes.length, imagePath]), [
    ["Atelectasis", 2, join(folder, "images_001/images/00000001_000.png")],
    ["Effusion", 1, join(folder, "images_001/images/00000001_000.png")],
    ["Mass", 1, join(folder, "00000002_000.png")],
  ]);
  assert.match(told[0], /^6: Finding Label has the unknown label "Hernia"/);
  assert.equal(told[1], "7: the box 1000, 2, 30, 4 (x, y, w, h) is not inside the image of 1024 x 1024");
  assert.match((await problemsOf(folder)).at(-1) as string, /has 40 x 30 pixels, the table says 1024 x 1024/);
});

test("films of one's own: every fault is told, boxes outside the film when it is decoded", async (t) => {
  const table = lines(
    "image,phrase,label,boxes",
    'films/a.png,small opacity,Lung Opacity,"1,2,3,4|10,10,5,5"',
    "films/a.png,effusion,,1-2-3-4",
    "films/a.png,effusion,,5-5-5-5",
    "films/a.png,tumour,Tumor,1-2-3-4",
    "films/a.png,mass,Mass,1-2-3",
    "films/a.png,nodule,Nodule,-1-2-3-4",
    "films/a.png,nodule,Nodule,",
    "films/a.png,edema,Edema,1-2-0-4",
    "films/a.png,edema,Edema,30 20 11 5",
    "films/b.png,edema,Edema,1-2-3-4",
  );
  const folder = await folderOf(t, { "films.csv": table, "films/a.png": "" });
  const problems = await problemsOf(folder);
  const expected = [
    /^4: films\/a\.png with this phrase and label is there already, on line 3$/,
    /^5: label has the unknown label "Tumor"; known are .*Edema/,
    /^6: boxes has "1-2-3", which is no box x-y-w-h/,
    /^7: boxes has "-1-2-3-4", which is no box/,
    /^8: films\/a\.png with this phrase and label is there already, on line 7$/,
    /^9: the box 1, 2, 0, 4 has no area$/,
    /^10: films\/a\.png with this phrase and label is there already, on line 9$/,
    /^11: DIR.films.b\.png: no such file/,
  ];
  assert.equal(problems.length, expected.length, problems.join("\n"));
  for (const [i, pattern] of expected.entries()) assert.match(problems[i], pattern);
  const outside = await folderOf(t, { "films.csv": lines("image,phrase,label,boxes", "a.png,edema,Edema,30 20 11 5"), "a.png": "" });
  assert.match((await problemsOf(outside))[0], /^2: DIR.a\.png: the box 30, 20, 11, 5 \(x, y, w, h\) is not inside the image$/);
});

test("several tables of one's own must be told apart", async (t) => {
  const folder = await folderOf(t, { "a.csv": "image\n", "b.csv": "image\n" });
  await assert.rejects(openDataset(folder), (error) => error instanceof InputError && /several data sets; name one of/.test(error.message));
  const wrong = await folderOf(t, { "a.csv": lines("image,phrase", "x.png,edema") });
  assert.deepEqual(await problemsOf(wrong), ["1: lacks columns of the plain layout: label, boxes"]);
});

test("the phantom's test films are found from its own folder", async (t) => {
  const row = (id: string) => lines(boxHeader, `${id},Edema,edema,${id}.png,1,2,3,4,40,30`);
  const folder = await folderOf(t, { "phantom.json": "{}", [`ms-cxr/${MS_CXR}.csv`]: row("one"), [`ms-cxr-pairs/${MS_CXR}.csv`]: row("two") });
  assert.equal((await samplesOf(folder, "phantom"))[0].id, "one");
  assert.equal((await samplesOf(join(folder, "ms-cxr-pairs"), "phantom"))[0].id, "two");
});
