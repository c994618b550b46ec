import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { testDtypes, testGpu } from "../shaders-test/harness.ts";
import { shippedModel } from "../src/cli/package.ts";
import { memoryCommand } from "../src/cli/profile_memory.ts";
import type { Config } from "../src/config.ts";
import { DeviceError } from "../src/errors.ts";
import { openPlanner } from "../src/gpu/planner.ts";
import { loadModel } from "../src/models/load.ts";
import { freeModel } from "../src/models/parameters.ts";
import { createTextEncoder } from "../src/models/text_encoder.ts";
import { UNet2DConditionModel } from "../src/models/unet.ts";
import { readUNetConfig } from "../src/models/unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "../src/models/vae.ts";
import { type PassMemory, type PlannedModels, groundingPasses, planMemory } from "../src/profile/memory_plan.ts";
import { readJson } from "../src/weights/byte_source.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { findWeights, openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { runCommand } from "./run_command.ts";

const MIB = 2 ** 20;

/** Stable Diffusion 1.5 as its configurations describe it. */
function stableDiffusion15(): PlannedModels {
  const crossAttention = Array(3).fill("CrossAttnDownBlock2D");
  const unet = readUNetConfig("unet", {
    block_out_channels: [320, 640, 1280, 1280], attention_head_dim: 8, cross_attention_dim: 768, layers_per_block: 2,
    down_block_types: [...crossAttention, "DownBlock2D"], up_block_types: ["UpBlock2D", ...crossAttention.map((name) => name.replace("Down", "Up"))],
  });
  const vae = readVaeConfig("vae", {
    block_out_channels: [128, 256, 512, 512], layers_per_block: 2, sample_size: 512,
    down_block_types: Array(4).fill("DownEncoderBlock2D"), up_block_types: Array(4).fill("UpDecoderBlock2D"),
  });
  const textEncoder = createTextEncoder("text_encoder", {
    model_type: "clip_text_model", hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12,
    vocab_size: 49_408, max_position_embeddings: 77, hidden_act: "quick_gelu", eos_token_id: 2,
  });
  return { textEncoder, vae: new AutoencoderKL(vae), unet: new UNet2DConditionModel(unet), tokens: 77 };
}

describe("Stable Diffusion 1.5, planned without a device", () => {
  const passes = planMemory(groundingPasses(stableDiffusion15(), [1, 2, 8]));
  const pass = (name: string, dtype: string, batch: number) => passes.find((each) => each.name === name && each.dtype === dtype && each.batch === batch) as PassMemory;

  test("the U-Net takes its weights and at most 350 MiB for one item in f16", () => {
    const { weightBytes, peakBytes, stepBytes, byScope } = pass("U-Net", "f16", 1);
    assert.ok(weightBytes > 1639 * MIB && weightBytes < 1.01 * 1640 * MIB, `${weightBytes / MIB} MiB of weights`);
    assert.ok(peakBytes < 32 * MIB && stepBytes < 48 * MIB, `${peakBytes / MIB} MiB live, ${stepBytes / MIB} MiB held`);
    assert.equal(Object.values(byScope).reduce((sum, bytes) => sum + bytes, 0), peakBytes);
  });

  test("a step grows with its items and the size of its type, and no more", () => {
    const one = pass("U-Net", "f16", 1).stepBytes;
    for (const [dtype, batch, factor] of [["f16", 2, 2], ["f16", 8, 8], ["f32", 1, 2], ["f32", 8, 16]] as const) {
      assert.ok(pass("U-Net", dtype, batch).stepBytes < 1.01 * factor * one, `${dtype}, ${batch} items`);
    }
  });

  test("no binding holds more than 128 MiB, which every device allows", () => {
    for (const { name, dtype, batch, largestBinding } of passes) assert.ok(largestBinding.bytes <= 128 * MIB, `${name}, ${batch} in ${dtype}: ${largestBinding.bytes} in ${largestBinding.scope}`);
  });

  test("the VAE encodes 512 x 512 pixels with three of its largest activations alive", () => {
    assert.ok(pass("VAE encode", "f32", 1).peakBytes < 3.1 * 512 * 512 * 128 * 4);
  });
});

describe("the shipped model, planned and done", async () => {
  const gpu = await testGpu();
  const folder = openFolder(shippedModel);
  const config = async (path: string) => [path, (await readJson(folder, `${path}/config.json`)) as Config] as const;
  const models: PlannedModels = {
    textEncoder: createTextEncoder(...(await config("text_encoder"))),
    vae: new AutoencoderKL(readVaeConfig(...(await config("vae")))),
    unet: new UNet2DConditionModel(readUNetConfig(...(await config("unet")))),
    tokens: 77,
  };
  const device = { software: gpu.adapter.software, features: gpu.device.features, subgroupLanes: gpu.device.adapterInfo.subgroupMinSize, maxBindingBytes: gpu.maxBindingBytes };
  const passes = groundingPasses(models, [1, 3]).filter(({ name, dtype }) => name !== "text encoder" && testDtypes(gpu).includes(dtype));
  const plans = planMemory(passes, device);

  for (const [i, { name, model, dtype, batch, run }] of passes.entries()) {
    test(`${name} in ${dtype}, ${batch} at a time: the bytes are those of the plan`, async () => {
      const constantBytes = () => gpu.memory().byScope.constants ?? 0;
      const { weightBytes, stepBytes, peakBytes } = plans[i];
      const checkpoint = await openCheckpoint(folder, await findWeights(folder, name === "U-Net" ? "unet" : "vae"));
      await loadModel(gpu, model, checkpoint, { dtype });
      await checkpoint.close();
      assert.equal(gpu.memory().byScope.weights, weightBytes);
      const step = gpu.record("pass", () => run(gpu));
      step.replay();
      await gpu.sync();
      assert.equal(step.bytes + constantBytes(), stepBytes);
      assert.equal(gpu.memory().live, weightBytes + stepBytes);
      step.free();
      gpu.resetPeak();
      gpu.scope("pass", () => run(gpu));
      await gpu.sync();
      assert.equal(gpu.memory().peak, weightBytes + peakBytes);
      freeModel(model);
    });
  }
});

test("a planner can only plan", () => {
  const gpu = openPlanner();
  assert.throws(() => gpu.empty([4]), (error: Error) => error instanceof DeviceError && /a planner has no device/.test(error.message));
  assert.equal(gpu.plan(() => void gpu.empty([64])).peakBytes, 256);
  gpu.close();
});

test("profile memory prints the plans of a model's passes", async (t) => {
  const { code, stdout } = await runCommand(t, memoryCommand(), ["--batch", "2,4", "--json"]);
  assert.equal(code, 0);
  const { passes } = JSON.parse(stdout) as { passes: PassMemory[] };
  assert.deepEqual(passes.map(({ name, dtype, batch }) => `${name} ${dtype} ${batch}`), ["text encoder f32 1", "VAE encode f32 1", "VAE decode f32 1", "U-Net f32 2", "U-Net f32 4", "U-Net f16 2", "U-Net f16 4"]);
  assert.ok(passes.every(({ weightBytes, peakBytes, stepBytes, largestBinding }) => weightBytes > 0 && peakBytes > 0 && stepBytes >= peakBytes && largestBinding.bytes > 0));
  assert.equal((await runCommand(t, memoryCommand(), ["--batch", "2,2"])).code, 2);
});
