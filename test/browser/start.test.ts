import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createGroundService } from "../../src/cli/serve_ground.ts";
import type { ResultRecord } from "../../src/report/result_record.ts";
import { type Session, needsChromium, openSession, phantom } from "./chromium.ts";

const film = join(phantom, "samples", "film_05.png");
const phrase = "moderate pleural effusion on the left";

describe("the page in Chromium, before any film", needsChromium, () => {
  const empty = mkdtempSync(join(tmpdir(), "attnscope-empty-"));
  writeFileSync(join(empty, "readme.txt"), "no model");
  let session: Session;
  const service = createGroundService({ model: phantom, dtype: "f32", cache: false, out: "" });
  before(async () => {
    session = await openSession(service);
  });
  after(async () => {
    await session.close();
    await service.close();
    rmSync(empty, { recursive: true, force: true });
  });

  const newPage = async () => {
    const page = await session.browser.newPage();
    page.setDefaultTimeout(120_000);
    return page;
  };

  test("takes a model from a folder of the visitor's, and says which folder is none", async () => {
    const page = await newPage();
    await page.goto(session.site);
    await page.getByText(/^Ready on/).waitFor();
    const folder = page.getByLabel("Use a model of your own");
    await folder.setInputFiles(empty);
    await page.getByText("The folder: has no model_index.json; choose the folder of a model in the diffusers layout.").waitFor();
    await folder.setInputFiles(phantom);
    await page.getByText(/^Ready on/).waitFor();
    assert.equal(await page.locator("summary", { hasText: "Layers: all 4" }).count(), 1);
    await page.close();
  });

  /** A page whose worker finds no graphics device the first time that it looks for one. */
  const newPageWithoutDevice = async () => {
    const page = await newPage();
    await page.route("**/worker_host.js", async (route) => {
      const response = await route.fetch();
      const none = "navigator.gpu.requestAdapter = () => { delete navigator.gpu.requestAdapter; return Promise.resolve(null); };";
      return route.fulfill({ response, body: `${none}\n${await response.text()}` });
    });
    return page;
  };

  test("says that there is no graphics device, and goes on when there is one", async () => {
    const page = await newPageWithoutDevice();
    await page.route("**/api/ground", (route) => route.fulfill({ status: 404 })); // as on a host of static files
    await page.goto(session.site);
    await page.getByText("This browser found no graphics device that it may use for computing.").waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText(/^Ready on/).waitFor();
    await page.close();
  });

  test("lets the server compute where there is no graphics device, says so, and goes on when there is one", async () => {
    const page = await newPageWithoutDevice();
    await page.goto(session.site);
    await page.getByText(/found no graphics device.*The server that sent this page computes instead, and gets every film and phrase\.$/).waitFor();
    assert.equal(await page.getByText(/in this browser/).count(), 0);
    assert.equal(await page.getByText(/sent to the server/).count(), 1);
    await page.locator(".drop input").setInputFiles(film);
    await page.getByRole("img", { name: "the film film_05.png" }).waitFor();
    await page.getByRole("spinbutton", { name: "Timesteps" }).fill("2");
    await page.getByRole("textbox", { name: "Phrase" }).fill(phrase);
    await page.keyboard.press("Enter");
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save JSON" }).click()]);
    const saved = JSON.parse(readFileSync(await download.path(), "utf8"));
    const expected = (await service.ground(readFileSync(film), new URLSearchParams({ phrase, steps: "2", lastSteps: "2" }), new AbortController().signal)) as ResultRecord & { mapValues: number[] };
    assert.deepEqual(saved.map.values, expected.mapValues);
    assert.equal(saved.server.model.sha256, expected.model.sha256);
    assert.equal(await page.getByRole("slider", { name: "Merge s" }).count(), 0);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText(/^Ready on/).waitFor();
    await page.getByText("It stays in this browser.").waitFor();
    await page.close();
  });

  test("says what is wrong with the server's model, and goes on when it is mended", async () => {
    const page = await newPage();
    await page.route("**/model/unet/config.json", (route) => route.fulfill({ status: 404 }));
    await page.goto(session.site);
    await page.getByText(/unet\/config\.json: the server has no such file \(HTTP 404\); check the address/).waitFor();
    await page.unroute("**/model/unet/config.json");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText(/^Ready on/).waitFor();
    await page.close();
  });
});
