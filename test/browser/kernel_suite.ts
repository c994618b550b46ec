import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { type Session, needsChromium, openBlank, openSession } from "./chromium.ts";
import { runKernelTests } from "./kernel_tests.ts";

/** Runs test files of `shaders-test/` in Chromium, a test each. */
export function testKernelsInChromium(title: string, files: readonly string[]): void {
  describe(title, needsChromium, () => {
    let session: Session;
    let page: Page;
    before(async () => {
      session = await openSession();
      page = await openBlank(session);
    });
    after(() => session.close());

    for (const name of files) {
      test(`meet their references: ${name}`, async () => {
        const { ran, failures } = await runKernelTests(page, fileURLToPath(new URL(`../../shaders-test/${name}`, import.meta.url)));
        assert.ok(ran > 0);
        assert.deepEqual(failures, []);
      });
    }
  });
}
