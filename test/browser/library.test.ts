import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { readFilm } from "../../src/data/decode_node.ts";
import { openGpu } from "../../src/gpu/open_node.ts";
import type { GroundResult } from "../../src/grounding/result.ts";
import { loadPipeline } from "../../src/node.ts";
import { type Session, needsChromium, openBlank, openSession, phantom } from "./chromium.ts";

const phrase = "moderate pleural effusion on the left";
const merged = { steps: 2, lastSteps: 2, seed: 3 };
/** Without the text bias, which takes two thirds of the time. */
const plain = { ...merged, merge: "none" as const };
/** How far the maps of two devices may be apart. */
const BOUND = 1e-3;

/** What the page says of a grounding. */
interface Grounded {
  map: number[];
  s: number;
  adapter: string;
}

function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

describe("the library in Chromium", needsChromium, () => {
  let session: Session;
  let page: Page;
  let inNode: Record<"merged" | "plain", GroundResult>;

  before(async () => {
    const gpu = await openGpu();
    const pipeline = await loadPipeline(gpu, phantom);
    const film = await readFilm(join(phantom, "samples", "film_05.png"));
    inNode = { merged: await pipeline.ground(film, phrase, merged), plain: await pipeline.ground(film, phrase, plain) };
    gpu.close();
    session = await openSession();
    page = await openBlank(session);
    page.setDefaultTimeout(600_000);
    await page.evaluate(async () => {
      const library = await import("/index.js" as string);
      const film = await fetch("/model/samples/film_05.png");
      const decoded = await library.decodeFilm(new Uint8Array(await film.arrayBuffer()), "film_05.png");
      Object.assign(globalThis, { library, film: decoded });
    });
  });
  after(() => session.close());

  /** Grounds the film on a device that `open` (source of a function of the library) gives. */
  const ground = (open: string, settings: object) =>
    page.evaluate<Grounded, [string, string, object]>(async ([source, phrase, settings]) => {
      const { library, film } = globalThis as unknown as { library: typeof import("../../src/browser.ts"); film: import("../../src/data/film.ts").Film };
      const gpu = await (new Function("library", `return (${source})(library)`) as (of: typeof library) => Promise<import("../../src/gpu/gpu.ts").Gpu>)(library);
      const pipeline = await library.loadPipeline(gpu, "/model");
      const { map, s } = await pipeline.ground(film, phrase, settings);
      pipeline.free();
      gpu.close();
      return { map: [...map], s: s as number, adapter: gpu.adapter.architecture };
    }, [open, phrase, settings]);

  test("reads the same pixels as Node", async () => {
    const pixels = await page.evaluate(() => [...(globalThis as unknown as { film: { data: Uint8Array } }).film.data]);
    assert.deepEqual(Uint8Array.from(pixels), inNode.plain.film.data);
  });

  test("makes the same map as Node", async (t) => {
    const { map, s, adapter } = await ground("(library) => library.openGpu()", merged);
    const error = farthest(map, inNode.merged.map);
    t.diagnostic(`${adapter}: ${error.toExponential(1)}`);
    assert.ok(error <= BOUND, `${error}`);
    assert.ok(Math.abs(s - (inNode.merged.s as number)) <= BOUND);
  });

  test("makes it on a device of the caller's own with default limits and no optional feature", async (t) => {
    const bare = `async (library) => {
      const adapter = await navigator.gpu.requestAdapter();
      const device = await adapter.requestDevice();
      if (device.features.has("subgroups") || device.limits.maxStorageBuffersPerShaderStage !== 8) throw new Error("the device has more than was asked for");
      return library.openGpu({ device });
    }`;
    const error = farthest((await ground(bare, plain)).map, inNode.plain.map);
    t.diagnostic(error.toExponential(1));
    assert.ok(error <= BOUND, `${error}`);
  });

  test("says that the device was lost, and makes the same map on another", async () => {
    const [lost, again] = await page.evaluate<[string, number[]], [string, object]>(async ([phrase, settings]) => {
      const { library, film } = globalThis as unknown as { library: typeof import("../../src/browser.ts"); film: import("../../src/data/film.ts").Film };
      const gpu = await library.openGpu();
      const pipeline = await library.loadPipeline(gpu, "/model");
      const failure = await pipeline.ground(film, phrase, { ...settings, onProgress: () => gpu.device.destroy() }).then(() => "nothing", (error: Error) => `${error.name}: ${error.message}`);
      gpu.close();
      const other = await library.openGpu();
      const { map } = await (await library.loadPipeline(other, "/model")).ground(film, phrase, settings);
      other.close();
      return [failure, [...map]];
    }, [phrase, plain]);
    assert.match(lost, /^DeviceLostError: device lost: destroyed/);
    assert.ok(farthest(again, inNode.plain.map) <= BOUND);
  });

  test("works the same through a worker, and streams", async () => {
    const streamed = await page.evaluate<{ done: number[]; maps: number[][]; overlay: number; errors: string[] }, [string, object]>(async ([phrase, settings]) => {
      const { film } = globalThis as unknown as { film: import("../../src/data/film.ts").Film };
      const client = (await import("/worker.js" as string)) as typeof import("../../src/worker/client.ts");
      const worker = client.startWorker();
      const gpu = await worker.openGpu();
      const pipeline = await worker.loadPipeline(gpu, "model");
      const [done, maps]: [number[], number[][]] = [[], []];
      let overlay = 0;
      for await (const partial of pipeline.groundStream(film, phrase, { ...settings, batch: 1 })) {
        done.push(partial.done);
        maps.push([...partial.map]);
        overlay = partial.result?.overlay({ alpha: 0.3 }).data.length ?? 0;
      }
      const errors: string[] = [];
      await pipeline.ground(film, "", settings).catch((error: unknown) => errors.push(`${error instanceof client.InputError} ${(error as Error).message}`));
      const stopped = pipeline.ground(film, phrase, { ...settings, signal: AbortSignal.timeout(1) });
      await stopped.catch((error: Error) => errors.push(error.name));
      worker.terminate();
      return { done, maps, overlay, errors };
    }, [phrase, plain]);
    assert.deepEqual(streamed.done, [1, 2, 2]);
    assert.ok(farthest(streamed.maps[2], inNode.plain.map) <= BOUND);
    assert.equal(streamed.overlay, 128 * 128 * 4);
    assert.match(streamed.errors[0], /^true /);
    assert.match(streamed.errors[1], /AbortError|TimeoutError/);
  });
});
