import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { openGoldens } from "../src/cli/verify.ts";
import { unetGradients } from "../src/verify/gradients.ts";
import { readGoldenFile } from "../src/verify/golden_file.ts";
import { passes } from "../src/verify/parts.ts";
import { type Variant, goldenRecipe, variantParts, withTraining } from "../src/verify/train.ts";
import { withMicroUNet } from "../src/verify/unet.ts";
import type { GoldenResult } from "../src/verify/verify.ts";
import { changeJson, changeValue, copyGoldens, outOfBounds, verifyFolder } from "./golden_folders.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();
const goldens = needsShared("goldens/train.safetensors");

async function verifyOne(folder: string, name: string): Promise<GoldenResult> {
  const [result] = await verifyFolder(gpu, folder, [name]);
  return result;
}

const context = () => openGoldens(gpu, sharedPath("goldens") as string);
const golden = async (name: string) => readGoldenFile((await context()).folder, `${name}.safetensors`);

describe("PyTorch's gradients and steps", goldens, () => {
  // Its own float32 is off by 1.5e-4 in gradients, by 1e-5 in weights: a tenth of what `verify` allows.
  for (const [name, bound] of [["unet_backward", 1.5e-4], ["lora", 1.5e-4], ["train", 1e-4]] as const) {
    test(`${name} is met`, async () => {
      const { ok, reason, parts } = await verifyOne(sharedPath("goldens") as string, name);
      assert.ok(ok, reason);
      assert.ok(parts.length > 30, `${parts.length} parts`);
      for (const part of parts) assert.ok(part.error < bound, `${part.name}: ${part.error}`);
    });
  }

  test("a second time takes no more of the device", async () => {
    const run = async () => {
      await verifyFolder(gpu, sharedPath("goldens") as string, ["unet_backward", "lora"]);
      return gpu.memory().live;
    };
    assert.equal(await run(), await run());
  });
});

describe("gradient checkpointing", goldens, () => {
  test("gives micro_unet's gradients bit for bit", async () => {
    const file = await golden("unet_backward");
    await withMicroUNet(await context(), async (unet) => {
      assert.deepEqual(await unetGradients(unet, file, unet.parameters, true), await unetGradients(unet, file, unet.parameters));
    });
  });

  test("gives the bits of optimiser steps in less memory", async () => {
    const file = await golden("train");
    const steps = async (gradientCheckpointing: boolean) =>
      withTraining(await context(), file, { ...goldenRecipe(file, "eps"), gradientCheckpointing }, 2, async ({ part, results, passBytes }) => {
        const weights = new Map<string, Float32Array>();
        for (const [name, { tensor }] of part.weights) weights.set(name, await tensor.read());
        return { results, weights, passBytes };
      });
    const [plain, checkpointed] = [await steps(false), await steps(true)];
    assert.deepEqual(checkpointed.results, plain.results);
    assert.deepEqual(checkpointed.weights, plain.weights);
    assert.ok(checkpointed.passBytes < 0.8 * plain.passBytes, `${checkpointed.passBytes} bytes instead of ${plain.passBytes}`);
  });
});

describe("what differs is found", goldens, () => {
  test("one gradient, one loss", async () => {
    const folder = copyGoldens(["unet_backward.safetensors"], ["micro_unet"]);
    const file = join(folder, "unet_backward.safetensors");
    changeValue(file, "grad.conv_in.weight", 7, (value) => value + 0.1);
    changeValue(file, "out.loss", 0, (value) => 1.001 * value);
    assert.deepEqual(outOfBounds(await verifyOne(folder, "unet_backward")), ["loss", "grad.conv_in.weight"]);
  });

  test("a step's loss, a weight, the weights that are not given", async () => {
    const folder = copyGoldens(["train.safetensors", "train.json"], ["micro_unet", "tiny_ldm"]);
    changeJson<{ eps: Variant }>(join(folder, "train.json"), (facts) => {
      facts.eps.log[3].losses[1] *= 1.01;
      return { ...facts, eps: { ...facts.eps, ema_sum_sq: 1.001 * facts.eps.ema_sum_sq } };
    });
    changeValue(join(folder, "train.safetensors"), "eps.param.conv_in.weight", 0, (value) => value + 0.01);
    const changed = await openGoldens(gpu, folder);
    const file = await readGoldenFile(changed.folder, "train.safetensors");
    const variant = file.fact<Variant>("eps");
    const parts = await withTraining(changed, file, goldenRecipe(file, "eps"), 6, (training) => variantParts(file, "eps", variant, training));
    assert.deepEqual(parts.filter((part) => !passes(part)).map(({ name }) => name), ["eps.losses", "eps.param.conv_in.weight", "eps.ema_sum_sq"]);
  });

  test("a recipe that says too little, a variant that is not known", async () => {
    const folder = copyGoldens(["train.safetensors", "train.json"], ["micro_unet", "tiny_ldm"]);
    const change = (recipe: string) => changeJson<object>(join(folder, "train.json"), (facts) => ({ ...facts, recipe }));
    change("AdamW lr 1e-3");
    assert.match((await verifyOne(folder, "train")).reason as string, /train\.safetensors: its recipe has nothing like cosine/);
    const file = await golden("train");
    assert.throws(() => goldenRecipe(file, "flow"), /the variant flow of the recipe, which is not known/);
    assert.equal(goldenRecipe({ ...file, fact: <T>(name: string) => (file.fact<string>(name).replace("lr 5e-3", "lr 1e-4")) as T }, "v").learningRate, 1e-4);
  });
});
