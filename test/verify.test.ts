import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { InputError } from "../src/errors.ts";
import { passes } from "../src/verify/parts.ts";
import type { GoldenResult } from "../src/verify/verify.ts";
import { changeJson, changeValue, copyGoldens, outOfBounds, verifyFolder } from "./golden_folders.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();
const goldens = needsShared("goldens");

const verify = (folder: string, only?: string[]) => verifyFolder(gpu, folder, only);

async function verifyOne(folder: string, name: string): Promise<GoldenResult> {
  const [result] = await verify(folder, [name]);
  return result;
}

describe("the goldens", goldens, () => {
  const names = ["tokenizer_wordpiece", "tokenizer_clip", "checkpoints", "image", "ddim", "maps", "quality", "bert", "clip", "vae", "micro_unet", "phantom", "unet_forward"];
  for (const name of names) {
    test(`${name} is within its bounds`, async () => {
      const { ok, error, bound, parts, reason } = await verifyOne(sharedPath("goldens") as string, name);
      assert.ok(ok, reason);
      assert.ok((error as number) <= (bound as number));
      assert.ok(parts.length > 0);
    });
  }

  test("ground, one of its cases, is within its bounds", async () => {
    const folder = copyGoldens(["ground.safetensors", "ground.json"], ["tiny_ldm"]);
    mkdirSync(join(folder, "images"));
    changeJson<{ cases: { image: string }[]; images: string[] }>(join(folder, "ground.json"), (facts) => {
      for (const image of facts.images) copyFileSync(sharedPath(`images/${image}`) as string, join(folder, "images", image));
      return { ...facts, cases: facts.cases.slice(0, 1) };
    });
    const { ok, reason } = await verifyOne(folder, "ground");
    assert.ok(ok, reason);
  });

  test("a second time takes no more of the device", async () => {
    const run = async () => {
      await verify(sharedPath("goldens") as string, ["bert", "maps", "micro_unet", "phantom"]);
      return gpu.memory().live;
    };
    assert.equal(await run(), await run());
  });
});

describe("what differs is found", goldens, () => {
  const changes: [name: string, tensor: string, parts: string[]][] = [
    ["ddim", "epsilon.step.501", ["epsilon.step.501"]],
    ["maps", "3.quadratic", ["3.quadratic"]],
    ["bert", "out.cls_projected", ["cls_projected"]],
    ["image", "wave0_700x513.cols", ["wave0_700x513 columns"]],
    ["vae", "out.logvar", ["logvar"]],
    ["quality", "biovil.smoothed", ["smoothed similarity"]],
  ];
  for (const [name, tensor, parts] of changes) {
    test(`one value of ${tensor}`, async () => {
      const folder = copyGoldens([`${name}.safetensors`], ["tiny_ldm"]);
      mkdirSync(join(folder, "images"));
      for (const image of ["jpeg_1036x885.jpg", "tbx_tb0007.png"]) copyFileSync(sharedPath(`images/${image}`) as string, join(folder, "images", image));
      changeValue(join(folder, `${name}.safetensors`), tensor, 5, (value) => value + 0.01);
      const result = await verifyOne(folder, name);
      assert.equal(result.ok, false);
      assert.deepEqual(outOfBounds(result), parts);
      assert.match(result.reason as string, /1 of \d+ parts are out of bounds/);
    });
  }

  test("a value that is not a number", async () => {
    const folder = copyGoldens(["maps.safetensors"]);
    changeValue(join(folder, "maps.safetensors"), "0.linear", 0, () => NaN);
    assert.deepEqual(outOfBounds(await verifyOne(folder, "maps")), ["0.linear"]);
  });

  test("one token", async () => {
    const folder = copyGoldens(["tokenizer_clip.json"], ["clip_tokenizer"]);
    changeJson<{ input_ids: number[] }[]>(join(folder, "tokenizer_clip.json"), (cases) => {
      cases[1].input_ids[2]++;
      return cases;
    });
    const result = await verifyOne(folder, "tokenizer_clip");
    assert.deepEqual(result.parts.filter((part) => !passes(part)).map(({ error }) => error), [1]);
  });

  test("a malformed checkpoint that is read, a sound one that is refused", async () => {
    const folder = copyGoldens([]);
    const from = (file: string) => sharedPath(`goldens/checkpoints/${file}`) as string;
    mkdirSync(join(folder, "checkpoints"));
    const files = { "expected.safetensors": "expected.safetensors", "bad_in_name_only.bin": "plain.bin", "plain.bin": "truncated.bin", "parameter.bin": "parameter.bin" };
    for (const [name, source] of Object.entries(files)) copyFileSync(from(source), join(folder, "checkpoints", name));
    assert.deepEqual(outOfBounds(await verifyOne(folder, "checkpoints")), ["bad_in_name_only.bin refused", "plain.bin is expected.safetensors"]);
  });
});

describe("what cannot be run has a reason", goldens, () => {
  test("a companion is missing", async () => {
    const result = await verifyOne(copyGoldens(["bert.safetensors"]), "bert");
    assert.equal(result.ok, false);
    assert.match(result.reason as string, /tiny_ldm\/text_encoder\/config\.json: no such file/);
    assert.deepEqual([result.error, result.bound], [null, null]);
  });

  test("an image is missing", async () => {
    const folder = copyGoldens(["image.safetensors"]);
    assert.match((await verifyOne(folder, "image")).reason as string, /jpeg_1036x885\.jpg: the image is missing/);
  });

  test("a golden is truncated, or holds something else", async () => {
    const folder = copyGoldens(["ddim.safetensors", "vae.safetensors"], ["tiny_ldm"]);
    truncateSync(join(folder, "ddim.safetensors"), 1000);
    writeFileSync(join(folder, "tokenizer_wordpiece.json"), '[{"text": 7}]');
    copyFileSync(sharedPath("goldens/clip.safetensors") as string, join(folder, "vae.safetensors"));
    const [wordpiece, ddim, vae, ...others] = await verify(folder);
    assert.match(wordpiece.reason as string, /cannot be read as this golden/);
    assert.match(ddim.reason as string, /ddim\.safetensors.*truncated/);
    assert.match(vae.reason as string, /vae\.safetensors: lacks the tensor in\.image/);
    assert.deepEqual(others, []);
  });

  test("a golden that is named and absent, and one of later versions", async () => {
    const folder = copyGoldens(["quality.safetensors"]);
    writeFileSync(join(folder, "new.safetensors"), "");
    const [absent] = await verify(folder, ["ground"]);
    assert.match(absent.reason as string, /has no ground\.safetensors/);
    const listed = await verify(folder);
    assert.deepEqual(listed.map(({ name, ok }) => [name, ok]), [["quality", true], ["new", false]]);
    assert.match(listed[1].reason as string, /new\.safetensors: is no golden that this version knows/);
  });

  test("unknown names and folders without goldens are refused", async () => {
    const folder = copyGoldens([]);
    await assert.rejects(verify(folder), (error) => error instanceof InputError && /holds no goldens/.test(error.message));
    await assert.rejects(verify(folder, ["grond"]), (error) => error instanceof InputError && /--only: grond is not one of .*ground/.test(error.message));
    await assert.rejects(verify(join(folder, "nowhere")), (error) => error instanceof InputError && /is not a folder that can be read/.test(error.message));
  });
});
