import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { PIECE_BYTES } from "../../src/weights/piece_cache.ts";
import { type Session, needsChromium, openSession } from "./chromium.ts";

const bytes = Uint8Array.from({ length: 2 * PIECE_BYTES + 1000 }, (_, i) => (i * 7 + (i >> 12)) & 255);

/** A worker that reads a file through the cache and adds its bytes up. */
const reader = `
import { cachedFolder, openOpfsStore, openUrlFolder } from "/models.js";
addEventListener("message", async ({ data: [offset, length] }) => {
  const notes = [];
  try {
    const folder = cachedFolder(openUrlFolder(location.origin + "/far"), { openStore: openOpfsStore, onNote: (note) => notes.push(note) });
    const source = await folder.open("model.safetensors");
    const read = await source.read(offset, length);
    await source.close();
    postMessage({ sum: read.reduce((a, b) => a + b, 0), notes });
  } catch (error) {
    postMessage({ error: error.message, notes });
  }
});
`;

describe("weights in Chromium", needsChromium, () => {
  let session: Session;
  let context: BrowserContext;
  let ranges: string[] = [];
  let version = "1";

  before(async () => {
    session = await openSession();
    context = await session.browser.newContext();
    await context.route("**/blank.html", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>blank</title>" }));
    await context.route("**/reader.js", (route) => route.fulfill({ contentType: "text/javascript", body: reader }));
    await context.route("**/far/model.safetensors", (route) => {
      const range = route.request().headers().range;
      const [, from, to] = (/bytes=(\d+)-(\d+)/.exec(range) ?? []).map(Number);
      const end = Math.min(to, bytes.length - 1);
      if (to > 1) ranges.push(range);
      return route.fulfill({
        status: 206,
        headers: { "content-range": `bytes ${from}-${end}/${bytes.length}`, etag: `"${version}"`, "content-type": "application/octet-stream" },
        body: Buffer.from(bytes.buffer, from, end - from + 1),
      });
    });
  });
  after(() => session.close());

  const openPage = async () => {
    const page = await context.newPage();
    await page.goto(`${session.site}/blank.html`);
    return page;
  };
  const read = (page: Page, offset: number, length: number) =>
    page.evaluate<{ sum: number; notes: string[]; error?: string }, number[]>(
      (range) => new Promise((resolve) => {
        const worker = new Worker("/reader.js", { type: "module" });
        worker.addEventListener("message", ({ data }) => { worker.terminate(); resolve(data); });
        worker.postMessage(range);
      }),
      [offset, length],
    );
  const sumOf = (offset: number, length: number) => bytes.subarray(offset, offset + length).reduce((a, b) => a + b, 0);

  test("go on where a closed tab left them, and then come from the browser alone", async () => {
    const first = await openPage();
    assert.equal((await read(first, 0, 10)).sum, sumOf(0, 10));
    await first.close();
    const second = await openPage();
    assert.equal((await read(second, 0, bytes.length)).sum, sumOf(0, bytes.length));
    assert.equal((await read(second, 0, bytes.length)).sum, sumOf(0, bytes.length));
    assert.deepEqual(ranges, [0, 1, 2].map((i) => `bytes=${i * PIECE_BYTES}-${Math.min((i + 1) * PIECE_BYTES, bytes.length) - 1}`));
    await second.close();
  });

  test("that changed on the server, or in the browser, are fetched again", async () => {
    const page = await openPage();
    ranges = [];
    // One byte of the kept file is not what it was.
    const spoiled = await page.evaluate(async () => {
      const worker = new Worker(URL.createObjectURL(new Blob([`(async () => {
        const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("attnscope-weights");
        for await (const file of root.values()) for await (const version of file.values()) {
          const data = await (await version.getFileHandle("data")).createSyncAccessHandle();
          data.write(new Uint8Array([1, 2, 3]), { at: 5 });
          data.close();
          postMessage("spoiled");
        }
      })()`])));
      return new Promise((resolve) => worker.addEventListener("message", ({ data }) => resolve(data)));
    });
    assert.equal(spoiled, "spoiled");
    assert.equal((await read(page, 0, 10)).sum, sumOf(0, 10));
    assert.equal(ranges.length, 1);
    version = "2";
    assert.equal((await read(page, 0, 10)).sum, sumOf(0, 10));
    assert.equal(ranges.length, 2);
    await page.close();
  });

  test("are read all the same where the browser has no room, which it says", async () => {
    const page = await openPage();
    version = "3";
    const devtools = await context.newCDPSession(page);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: session.site, quotaSize: 1_000_000 });
    const { sum, notes } = await read(page, 0, bytes.length);
    assert.equal(sum, sumOf(0, bytes.length));
    assert.equal(notes.length, 1);
    assert.match(notes[0], /is not kept.*too little room.*free some disk space/);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: session.site });
    await page.close();
  });

  test("of a server that refuses other sites are an error in a sentence", async () => {
    const page = await openPage();
    const message = await page.evaluate(async () => {
      const { openUrlFolder } = (await import("/models.js" as string)) as typeof import("../../src/models.ts");
      return openUrlFolder("http://127.0.0.1:9/model").open("x").then(() => "", (error: Error) => error.message);
    });
    assert.match(message, /cannot be reached.*CORS/);
    await page.close();
  });
});
