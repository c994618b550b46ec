import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { type Session, needsChromium, openBlank, openSession } from "../test/browser/chromium.ts";
import { runKernelTests } from "../test/browser/kernel_tests.ts";

const folder = fileURLToPath(new URL("../shaders-test", import.meta.url));
/** Tests of fragments read them from the disk. */
const files = readdirSync(folder).filter((name) => name.endsWith(".test.ts") && !readFileSync(join(folder, name), "utf8").includes("./fragment.ts"));

describe("all kernels in Chromium", needsChromium, () => {
  let session: Session;
  let page: Page;
  before(async () => {
    session = await openSession();
    page = await openBlank(session);
  });
  after(() => session.close());

  for (const name of files) {
    test(`meet their references: ${name}`, async () => {
      const { ran, failures } = await runKernelTests(page, join(folder, name));
      assert.ok(ran > 0);
      assert.deepEqual(failures, []);
    });
  }
});
