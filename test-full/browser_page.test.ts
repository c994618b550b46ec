import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import dicomParser from "dicom-parser";
import { unzipSync } from "fflate";
import type { Download, Page } from "playwright-core";
import { decodeFilm, readFilm } from "../src/data/decode_node.ts";
import { openGpu } from "../src/gpu/open_node.ts";
import type { GroundResult } from "../src/grounding/result.ts";
import { loadPipeline } from "../src/node.ts";
import { contentSecurityPolicy } from "../src/serve/headers.ts";
import { type Session, needsChromium, openSession, phantom, screenshots } from "../test/browser/chromium.ts";

const sample = join(phantom, "samples", "film_05.png");
const phrase = "moderate pleural effusion on the left";
/** How far the maps of two devices may be apart. */
const BOUND = 1e-3;

/** The parts of a saved JSON file that are looked at. */
interface SavedMap {
  phrase: string;
  s: number;
  words: { text: string; kept: boolean }[];
  regions: object[];
  metrics?: { cnr: number; iou: number; aucRoc: number };
  map: { values: number[]; standardError: number[] };
}

function assertClose(a: ArrayLike<number>, b: ArrayLike<number>): void {
  assert.equal(a.length, b.length);
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i] - b[i]) <= BOUND, `${a[i]} and ${b[i]} at ${i}`);
}

describe("the page in Chromium", needsChromium, () => {
  let session: Session;
  let page: Page;
  let inNode: GroundResult;
  const foreign: string[] = [];
  const problems: string[] = [];

  before(async () => {
    mkdirSync(screenshots, { recursive: true });
    const gpu = await openGpu();
    const pipeline = await loadPipeline(gpu, phantom);
    inNode = await pipeline.ground(await readFilm(sample), phrase, { steps: 2, lastSteps: 2 });
    gpu.close();
    session = await openSession();
    const context = await session.browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
    page = await context.newPage();
    page.setDefaultTimeout(300_000);
    page.on("request", (request) => { if (!request.url().startsWith(session.site) && !/^(blob|data):/.test(request.url())) foreign.push(request.url()); });
    page.on("console", (message) => { if (message.type() === "error" && !/status of 404/.test(message.text())) problems.push(message.text()); });
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(session.site);
  });
  after(() => session.close());

  const status = () => page.getByRole("status").textContent();
  const fact = (name: string) => page.locator(".facts div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd").first();
  const pixels = () => page.locator("canvas").first().evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
  const saved = async (button: string): Promise<Buffer> => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: button }).click()]);
    return readFileSync(await (download as Download).path());
  };
  const savedJson = async () => JSON.parse((await saved("Save JSON")).toString("utf8")) as SavedMap;
  const setNumber = async (name: string, value: number) => {
    await page.getByRole("spinbutton", { name }).fill(String(value));
    await page.keyboard.press("Tab");
  };
  const finished = () => page.getByRole("button", { name: "Save JSON" }).waitFor();
  const drop = async (name: string, bytes: Uint8Array) => {
    const files = await page.evaluateHandle(([name, bytes]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(bytes as number[])], name as string));
      return transfer;
    }, [name, [...bytes]] as const);
    await page.locator(".drop").dispatchEvent("drop", { dataTransfer: files });
  };

  test("says what it computes on", async () => {
    await page.getByText(/^Ready on/).waitFor();
    assert.match((await status()) ?? "", /computes on the processor, which is many times slower/);
    await page.screenshot({ path: join(screenshots, "start.png") });
  });

  test("states the policy of the server in itself, for hosts that send none", async () => {
    const own = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute("content");
    assert.equal(own, contentSecurityPolicy.replace("; frame-ancestors 'none'", ""));
  });

  test("refuses what is no image, in a sentence, and goes on", async () => {
    await drop("notes.txt", new TextEncoder().encode("no image"));
    await page.getByRole("alert").filter({ hasText: "Notes.txt: is not a PNG, JPEG or DICOM image" }).waitFor();
  });

  test("grounds a typed phrase in a dropped film, with a map equal to Node's", async () => {
    await drop("film_05.png", readFileSync(sample));
    await page.getByRole("img", { name: "the film film_05.png" }).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    await setNumber("Timesteps", 2);
    await page.getByRole("textbox", { name: "Phrase" }).fill(phrase);
    await page.keyboard.press("Enter");
    await page.getByText(/map of 2 timesteps, standard error/).waitFor();
    await finished();
    const { map, s, words, ...record } = await savedJson();
    assert.equal(record.phrase, phrase);
    assertClose(map.values, inNode.map);
    assert.ok(Math.abs(s - (inNode.s as number)) <= BOUND);
    assert.deepEqual(words.map(({ text, kept }) => [text, kept]), inNode.phrase.choice.words.map(({ text, kept }) => [text, kept]));
    await page.screenshot({ path: join(screenshots, "map.png"), fullPage: true });
  });

  test("shows a word's own map while the pointer or the focus is on it", async () => {
    const whole = await pixels();
    const word = page.getByRole("button", { name: "effusion", exact: true });
    await word.hover();
    await page.waitForFunction((before) => document.querySelector("canvas")?.toDataURL() !== before, whole);
    assert.equal(await word.getAttribute("aria-pressed"), "true");
    await page.mouse.move(0, 0);
    await page.waitForFunction((before) => document.querySelector("canvas")?.toDataURL() === before, whole);
    await page.getByRole("button", { name: "left", exact: true }).focus();
    await page.waitForFunction((before) => document.querySelector("canvas")?.toDataURL() !== before, whole);
    await page.getByRole("textbox", { name: "Phrase" }).focus();
  });

  test("changes timesteps, merge, layers and mask at once, without computing anew", async () => {
    const changed = async (act: () => Promise<unknown>) => {
      const before = await pixels();
      await act();
      await page.waitForFunction((old) => document.querySelector("canvas")?.toDataURL() !== old, before);
      assert.equal(await page.locator(".progress").count(), 0);
    };
    const start = await savedJson();
    await changed(() => page.getByRole("slider", { name: "Last timesteps" }).press("ArrowLeft"));
    assert.match((await fact("± error").textContent()) ?? "", /–/);
    await changed(() => page.getByRole("slider", { name: "Last timesteps" }).press("ArrowRight"));
    await changed(() => page.getByLabel("similarity of the biases").uncheck());
    await changed(() => page.getByRole("slider", { name: "Merge s" }).fill("1"));
    await page.getByLabel("similarity of the biases").check();
    await page.locator("summary", { hasText: "Layers" }).click();
    await changed(() => page.locator(".layers input").first().uncheck());
    await page.locator(".layers input").first().check();
    await changed(() => page.getByLabel("between the two Gaussians").uncheck());
    await changed(() => page.getByRole("slider", { name: "Mask threshold" }).fill("0.9"));
    await page.getByLabel("between the two Gaussians").check();
    await changed(() => page.getByRole("combobox", { name: "Show" }).selectOption("error"));
    await page.getByRole("combobox", { name: "Show" }).selectOption("map");
    await page.waitForFunction(() => document.querySelectorAll(".facts").length === 1);
    assertClose((await savedJson()).map.values, start.map.values);
  });

  test("reads CNR, IoU and AUC of a box that is drawn", async () => {
    assert.equal(await fact("CNR").count(), 0);
    await page.locator(".picture").scrollIntoViewIfNeeded();
    const picture = await page.locator(".picture").boundingBox();
    assert.ok(picture);
    const { x, y, width, height } = picture;
    await page.mouse.move(x + 0.6 * width, y + 0.5 * height);
    await page.mouse.down();
    await page.mouse.move(x + 0.85 * width, y + 0.8 * height, { steps: 3 });
    await page.mouse.up();
    await fact("CNR").waitFor();
    const { metrics } = await savedJson();
    assert.ok(metrics);
    assert.equal(await fact("CNR").textContent(), metrics.cnr.toFixed(3));
    assert.equal(await fact("IoU").textContent(), metrics.iou.toFixed(3));
    assert.equal(await fact("AUC").textContent(), metrics.aucRoc.toFixed(3));
    await setNumber("left", 10);
    await page.waitForFunction((old) => document.querySelector(".facts")?.textContent?.includes(old) === false, metrics.cnr.toFixed(3));
  });

  test("saves the picture at the film's size", async () => {
    const picture = await decodeFilm(await saved("Save PNG"), "saved.png");
    assert.deepEqual([picture.width, picture.height, picture.channels], [inNode.film.width, inNode.film.height, 3]);
    assert.notDeepEqual([...picture.data.subarray(0, 300)], [...inNode.film.data.subarray(0, 300)]);
  });

  test("saves the picture and the mask as DICOM", async () => {
    const files = unzipSync(await saved("Save DICOM"));
    assert.deepEqual(Object.keys(files), ["overlay.dcm", "segmentation.dcm"]);
    const [object, picture] = [await decodeFilm(files["overlay.dcm"], "overlay.dcm"), await decodeFilm(await saved("Save PNG"), "saved.png")];
    assert.deepEqual(object.data, picture.data);
    const { elements, byteArray } = dicomParser.parseDicom(files["segmentation.dcm"]);
    const { dataOffset, length } = elements.x7fe00010;
    assert.equal(length, (picture.width * picture.height) / 8);
    assert.ok(byteArray.subarray(dataOffset, dataOffset + length).some((bits) => bits > 0));
  });

  test("tells the times of the kernels", async () => {
    await page.getByRole("tab", { name: "Profile" }).click();
    await page.getByRole("button", { name: "Measure one grounding" }).click();
    await page.getByRole("rowheader", { name: /matmul|conv2d/ }).first().waitFor();
    const trace = JSON.parse((await saved("Save trace")).toString("utf8"));
    assert.ok(trace.traceEvents.length > 100);
    await page.screenshot({ path: join(screenshots, "profile.png") });
    await page.getByRole("tab", { name: "Maps" }).click();
  });

  test("fits a phone, and follows the reader's colours", async () => {
    await page.emulateMedia({ colorScheme: "dark" });
    await page.screenshot({ path: join(screenshots, "dark.png") });
    await page.setViewportSize({ width: 390, height: 844 });
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    await page.screenshot({ path: join(screenshots, "phone.png"), fullPage: true });
    assert.equal(tooWide, false);
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
  });

  test("is lost with the GPU process, says so, and makes the same map again", async () => {
    const { map } = await savedJson();
    const devtools = await session.browser.newBrowserCDPSession();
    await devtools.send("Browser.crashGpuProcess").catch(() => undefined); // the answer may be lost with it
    await setNumber("Seed", 1);
    await page.getByText(/graphics device was lost.*opened again/).waitFor();
    await page.getByText(/Ready on/).waitFor();
    await setNumber("Seed", 4200);
    await finished();
    assertClose((await savedJson()).map.values, map.values);
  });

  test("asked no other host for anything, and broke no rule", () => {
    assert.deepEqual(foreign, []);
    assert.deepEqual(problems, []);
  });
});
