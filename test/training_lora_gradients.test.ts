import assert from "node:assert/strict";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { backward } from "../src/autograd.ts";
import { loadModel } from "../src/models/load.ts";
import { UNet2DConditionModel } from "../src/models/unet.ts";
import { readUNetConfig } from "../src/models/unet_config.ts";
import { mseLoss } from "../src/ops/loss.ts";
import { toChannelsLast } from "../src/ops/pointwise.ts";
import { Tape } from "../src/tape.ts";
import type { Tensor } from "../src/tensor.ts";
import { pytorchOrder } from "../src/training/checkpoint.ts";
import { LORA_FILE, attachLoraOf, loraPrefixes } from "../src/training/lora.ts";
import { readJson } from "../src/weights/byte_source.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { findWeights, openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { readGolden, relativeError } from "./golden.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();

test("the gradients of a LoRA's factors are peft's, and the weights beneath have none", needsShared("goldens/micro_lora"), async () => {
  const folder = openFolder(sharedPath("goldens/micro_unet") as string);
  const unet = new UNet2DConditionModel(readUNetConfig("config.json", (await readJson(folder, "config.json")) as Record<string, unknown>));
  const weights = await openCheckpoint(folder, await findWeights(folder, ""));
  await loadModel(gpu, unet, weights, { dtype: "f32" });
  const file = await openCheckpoint(openFolder(sharedPath("goldens/micro_lora") as string), LORA_FILE);
  const lora = await attachLoraOf(unet, file);
  await loadModel(gpu, lora, file, { prefixes: loraPrefixes, dtype: "f32" });
  for (const checkpoint of [weights, file]) await checkpoint.close();

  const { tensors } = await readGolden("goldens/lora.safetensors");
  const given = (name: string) => gpu.tensor(tensors.get(`in.${name}`)!.data, tensors.get(`in.${name}`)!.shape);
  const tape = new Tape(gpu);
  tape.watch([...lora.parameters.values()].map(({ tensor }) => tensor));
  const [loss, gradients] = gpu.scope("test", () => {
    const y = tape.run(() => {
      const keyValues = unet.projectText(given("encoder_hidden_states"));
      const prediction = unet.forward(toChannelsLast(given("sample")), given("timestep"), { keyValues }) as Tensor;
      return mseLoss(prediction, toChannelsLast(given("target")));
    });
    return [y, backward(tape, y, gpu.tensor(Float32Array.of(1), [1]))] as const;
  });
  assert.ok(relativeError(await loss.read(), tensors.get("out.loss")!.data) < 1e-5);
  for (const [name, parameter] of lora.parameters) {
    const expected = tensors.get(`grad.${name.replace("lora.down", "lora_A.default").replace("lora.up", "lora_B.default")}`);
    const gradient = gradients.get(parameter.tensor);
    assert.ok(expected && gradient, name);
    const error = relativeError(pytorchOrder(parameter, await gradient.read()), expected.data);
    assert.ok(error < 1e-3, `${name}: ${error}`);
  }
  for (const { tensor } of unet.parameters.values()) assert.equal(gradients.get(tensor), undefined);
});
