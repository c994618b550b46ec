import { cpSync, mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type Page, chromium } from "playwright-core";
import { findChromium } from "../../scripts/browser/find.mjs";
import { loopbackNames } from "../../src/serve/access_node.ts";
import { type ServeOptions, createPageServer } from "../../src/serve/server_node.ts";
import { browserDist, needsBuild } from "./files.ts";

const executable = findChromium();

/** The model that ships with the package. */
export const phantom = fileURLToPath(new URL("../../weights/phantom", import.meta.url));

/** Options for a test in Chromium: skips with a message where there is none, or nothing to load. */
export const needsChromium = executable === undefined ? { skip: "no Chromium here: apt-get install chromium, or name one in CHROMIUM" } : needsBuild;

/** Where screenshots are kept. */
export const screenshots = fileURLToPath(new URL("../../.attnscope/screenshots", import.meta.url));

/** WebGPU on the processor, and no requests of the browser's own. */
const flags = [
  "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-gpu-process-crash-limit",
  "--disable-background-networking", "--disable-component-update", "--no-first-run",
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];

/** A browser, and a site for it on this machine. */
export interface Session {
  browser: Browser;
  /** Address of the built page, with the model below it. */
  site: string;
  close(): Promise<void>;
}

/** Starts Chromium, which must be there (`needsChromium`). */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: executable, args: flags });
}

/** Starts Chromium and serves the built page and the shipped model to it. `ground`: what the server's own grounding does. */
export async function openSession({ ground = async () => ({}) }: Partial<Pick<ServeOptions, "ground">> = {}): Promise<Session> {
  // A copy: a build that runs meanwhile would give the scripts other names.
  const copy = mkdtempSync(join(tmpdir(), "attnscope-site-"));
  cpSync(browserDist, copy, { recursive: true, filter: (path) => !path.endsWith(".map") });
  const { server } = createPageServer({
    page: copy,
    model: phantom,
    access: { hosts: new Set(loopbackNames) },
    ground,
    onDefect: (error) => console.error(error),
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await launchChromium();
  return {
    browser,
    site: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      await browser.close();
      server.closeAllConnections();
      server.close();
      rmSync(copy, { recursive: true, force: true });
    },
  };
}

/** A page of the site with nothing in it, to try the library in. */
export async function openBlank({ browser, site }: Session): Promise<Page> {
  const page = await browser.newPage();
  // The tests' compiler gives functions their names through a helper, which the page lacks.
  await page.addInitScript("globalThis.__name = (of) => of");
  await page.route("**/blank.html", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>blank</title>" }));
  await page.goto(`${site}/blank.html`);
  return page;
}
