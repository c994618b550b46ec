import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { verifyFolder } from "../test/golden_folders.ts";
import { needsShared, sharedPath } from "../test/shared.ts";

const gpu = await testGpu();
const goldens = ["sd15_vae", "clip_l", "cxr_bert", "sd15_unet", "biovil_image", "fid_inception", "xrv_densenet121"];
const memoryLimit = 8 * 2 ** 30;

describe("the full-size architectures with weights by formula", needsShared("goldens/full"), () => {
  for (const name of goldens) {
    test(`${name} is within its bounds`, async () => {
      const [{ ok, reason, parts }] = await verifyFolder(gpu, sharedPath("goldens/full") as string, [name]);
      assert.ok(ok, reason);
      assert.ok(parts.length > 0);
    });
  }

  test("the process stayed below 8 GiB, a software device's memory included", () => {
    assert.ok(1024 * process.resourceUsage().maxRSS < memoryLimit);
    assert.ok(gpu.memory().peak < memoryLimit);
  });
});
