import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import sirv from "sirv";
import { build } from "vite";
import { launchChromium, needsChromium, phantom } from "./browser/chromium.ts";
import { browserDist, needsBuild } from "./browser/files.ts";
import { samples, temporaryFolder } from "./cli_process.ts";

const repository = fileURLToPath(new URL("..", import.meta.url));
const scratch = temporaryFolder();

/** Side of the shipped films in pixels. */
const SIDE = 128;

/** Serves a folder by ranges, as any host of static files does. */
async function serveFolder(folder: string): Promise<{ server: Server; url: string }> {
  const server = createServer(sirv(folder, { dev: true }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Whether a point, in parts of the film's sides, lies in the box of the shipped film that the examples ground. */
function isInTheEffusion(x: number, y: number): boolean {
  const films: { image: string; boxes_xywh: number[][] }[] = JSON.parse(readFileSync(join(samples, "films.json"), "utf8"));
  const [left, top, width, height] = films.find(({ image }) => image === "film_05.png")?.boxes_xywh[0] ?? [];
  const inside = (at: number, from: number, length: number) => SIDE * at >= from && SIDE * at <= from + length;
  return inside(x, left, width) && inside(y, top, height);
}

describe("the example for Node", needsBuild, () => {
  const run = async (name: string, ...args: string[]) => (await promisify(execFile)(process.execPath, [join(repository, "examples", "node", name), ...args])).stdout;

  test("ground finds the effusion of the shipped film", async () => {
    const { phrase, peak, regions } = JSON.parse(await run("ground.mjs"));
    assert.equal(phrase, "moderate pleural effusion on the left");
    assert.ok(isInTheEffusion(peak.x, peak.y), JSON.stringify(peak));
    assert.ok(regions.length > 0);
  });

  test("own_weights reads a model from a folder, from a URL, and with another text encoder", async (t) => {
    const { server, url } = await serveFolder(phantom);
    t.after(() => server.close());
    const [folder, address, other] = await Promise.all([run("own_weights.mjs", phantom), run("own_weights.mjs", url), run("own_weights.mjs", phantom, url)].map(async (text) => JSON.parse(await text)));
    assert.deepEqual([folder.side, folder.layers], [SIDE, 4]);
    assert.equal(address.sha256, folder.sha256);
    assert.equal(other.textEncoderName, url);
  });

  test("own_kernel computes what its WGSL says", async () => {
    assert.deepEqual(JSON.parse(await run("own_kernel.mjs")), [-9, -0.25, 0, 0.25, 9]);
  });

  test("profile names kernels and writes a trace", async () => {
    const trace = join(scratch, "trace.json");
    assert.match(await run("profile.mjs", trace), /^(\w+\/\w+ +\d+\.\d\d ms\n){5}$/);
    assert.ok(JSON.parse(readFileSync(trace, "utf8")).traceEvents.length > 100);
  });

  test("own_loss finds the line", async () => {
    const { slope, offset, loss } = JSON.parse(await run("own_loss.mjs"));
    assert.ok(Math.abs(slope - 3) < 0.01 && Math.abs(offset + 1) < 0.01 && loss < 1e-4, `${slope} ${offset} ${loss}`);
  });
});

describe("the example for browsers", needsChromium, () => {
  const site = join(scratch, "site");
  let browser: Browser;
  let server: Server;
  let url: string;
  before(async () => {
    mkdirSync(join(scratch, "node_modules"));
    symlinkSync(repository, join(scratch, "node_modules", "attnscope"));
    cpSync(join(repository, "examples", "vite"), join(scratch, "vite"), { recursive: true });
    await build({ root: join(scratch, "vite"), base: "./", logLevel: "error", build: { target: "es2022", outDir: site, emptyOutDir: true } });
    cpSync(join(repository, "examples", "worker"), join(site, "worker"), { recursive: true });
    cpSync(browserDist, join(site, "worker", "attnscope"), { recursive: true });
    for (const folder of [site, join(site, "worker")]) symlinkSync(phantom, join(folder, "model"));
    ({ server, url } = await serveFolder(site));
    browser = await launchChromium();
  });
  after(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  });

  /** Opens an example. Two timesteps are made of its ten, and the text bias is left out: software devices take minutes for them. */
  const open = async (path: string): Promise<Page> => {
    const page = await browser.newPage();
    page.setDefaultTimeout(300_000);
    page.on("pageerror", (error) => assert.fail(error));
    await page.route(/\/(main|index-[\w-]+)\.js$/, async (route) => {
      const response = await route.fetch();
      return route.fulfill({ response, body: (await response.text()).replace(/steps: ?10\b/, 'steps:2,merge:"none"') });
    });
    await page.goto(`${url}/${path}`);
    return page;
  };
  const peakOf = async (page: Page) => {
    const text = await page.getByText(/^Greatest at/).textContent();
    const [x, y, side] = (/at (\d+), (\d+) of (\d+) x/.exec(text ?? "") ?? []).slice(1).map(Number);
    return { x: (x + 0.5) / side, y: (y + 0.5) / side, side };
  };

  test("bundled by Vite, grounds a film that a visitor chooses", async () => {
    const page = await open("index.html");
    await page.getByText("Choose a film.").waitFor();
    await page.locator("[type=file]").setInputFiles(join(samples, "film_05.png"));
    await page.getByRole("button", { name: "Find" }).click();
    const { x, y } = await peakOf(page);
    assert.ok(isInTheEffusion(x, y), `${x} ${y}`);
    assert.deepEqual(await page.locator("canvas").evaluate(({ width, height }: HTMLCanvasElement) => [width, height]), [SIDE, SIDE]);
    await page.close();
  });

  test("in a worker without a bundler, draws a growing map", async () => {
    const page = await open("worker/index.html");
    const { x, y, side } = await peakOf(page);
    assert.ok(isInTheEffusion(x, y), `${x} ${y}`);
    assert.deepEqual(await page.locator("canvas").evaluate(({ width, height }: HTMLCanvasElement) => [width, height]), [side, side]);
    await page.close();
  });
});
