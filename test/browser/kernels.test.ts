import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { type Session, needsChromium, openBlank, openSession } from "./chromium.ts";
import { runKernelTests } from "./kernel_tests.ts";

/** Families whose tests take seconds on the processor; `npm run test:full` runs them all. */
const quick = ["softmax", "embed", "group_norm", "image"];

describe("kernels in Chromium", needsChromium, () => {
  let session: Session;
  let page: Page;
  before(async () => {
    session = await openSession();
    page = await openBlank(session);
  });
  after(() => session.close());

  for (const name of quick) {
    test(`meet their references: ${name}`, async () => {
      const { ran, failures } = await runKernelTests(page, fileURLToPath(new URL(`../../shaders-test/${name}.test.ts`, import.meta.url)));
      assert.ok(ran > 0);
      assert.deepEqual(failures, []);
    });
  }
});
