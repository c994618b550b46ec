import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Session, needsChromium, openSession, phantom } from "./chromium.ts";

describe("the page in Chromium, before any film", needsChromium, () => {
  const empty = mkdtempSync(join(tmpdir(), "attnscope-empty-"));
  writeFileSync(join(empty, "readme.txt"), "no model");
  let session: Session;
  before(async () => {
    session = await openSession();
  });
  after(async () => {
    await session.close();
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
    assert.equal(await page.locator("summary", { hasText: "Layers: all 7" }).count(), 1);
    await page.close();
  });

  test("says that there is no graphics device, and goes on when there is one", async () => {
    const page = await newPage();
    await page.route("**/worker_host.js", async (route) => {
      const response = await route.fetch();
      const none = "navigator.gpu.requestAdapter = () => { delete navigator.gpu.requestAdapter; return Promise.resolve(null); };";
      return route.fulfill({ response, body: `${none}\n${await response.text()}` });
    });
    await page.goto(session.site);
    await page.getByText("This browser found no graphics device that it may use for computing.").waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText(/^Ready on/).waitFor();
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
