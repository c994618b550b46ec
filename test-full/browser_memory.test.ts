import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { type Session, needsChromium, openBlank, openSession } from "../test/browser/chromium.ts";

/** What the device and the page hold after some groundings, in bytes. */
interface Held {
  device: number;
  heap: number;
}

describe("memory in Chromium", needsChromium, () => {
  let session: Session;
  let page: Page;
  before(async () => {
    session = await openSession();
    page = await openBlank(session);
    page.setDefaultTimeout(1_800_000);
  });
  after(() => session.close());

  test("after 50 groundings is no higher than after 5", async (t) => {
    const devtools = await page.context().newCDPSession(page);
    const afterMore = async (count: number): Promise<Held> => {
      const device = await page.evaluate(async (count) => {
        const state = globalThis as unknown as { pipeline?: import("../src/grounding/pipeline.ts").GroundingPipeline; film?: import("../src/data/film.ts").Film };
        const library = (await import("/index.js" as string)) as typeof import("../src/browser.ts");
        state.pipeline ??= await library.loadPipeline(await library.openGpu(), "/model");
        state.film ??= await library.decodeFilm(new Uint8Array(await (await fetch("/model/samples/film_05.png")).arrayBuffer()), "film");
        for (let i = 0; i < count; i++) await state.pipeline.ground(state.film, "moderate pleural effusion on the left", { steps: 1, merge: "none", seed: i });
        const { gpu } = state.pipeline.ldm;
        const { live, pooled } = gpu.memory();
        gpu.trim(); // its cache of bind groups is bounded, but not full yet
        return live + pooled;
      }, count);
      await devtools.send("HeapProfiler.collectGarbage");
      const { usedSize } = await devtools.send("Runtime.getHeapUsage");
      return { device, heap: usedSize };
    };
    const early = await afterMore(5);
    const late = await afterMore(45);
    t.diagnostic(JSON.stringify({ early, late }));
    assert.ok(late.device <= early.device, `${late.device} bytes on the device after ${early.device}`);
    // The script engine goes on compiling for the first fifty or so: some hundred kilobytes, and then no more.
    assert.ok(late.heap <= 1.05 * early.heap, `${late.heap} bytes of the page after ${early.heap}`);
  });
});
