import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { openGoldens } from "../src/cli/verify.ts";
import { WeightsError } from "../src/errors.ts";
import { loadModel } from "../src/models/load.ts";
import { LORA_FILE, LORA_PREFIX, attachLora, attachLoraOf, loraPrefixes } from "../src/models/lora.ts";
import { freeModel } from "../src/models/parameters.ts";
import type { UNet2DConditionModel } from "../src/models/unet.ts";
import { parameterOutputs } from "../src/training/checkpoint.ts";
import { initialWeights, loraInitialValues } from "../src/training/initial_weights.ts";
import { readGoldenFile } from "../src/verify/golden_file.ts";
import { inputsOf, runUNet, withMicroUNet } from "../src/verify/unet.ts";
import { writeSafetensorsFile } from "../src/weights/atomic_file_node.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { type Checkpoint, type TensorSource, readTensor } from "../src/weights/checkpoint.ts";
import { openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { temporaryFolder } from "./cli_process.ts";
import { relativeError } from "./golden.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();

/** A test with micro_unet. */
function loraTest(name: string, run: (unet: UNet2DConditionModel) => Promise<void>): void {
  void test(name, needsShared("goldens/micro_lora"), async () => withMicroUNet(await openGoldens(gpu, sharedPath("goldens") as string), run));
}

const openLora = (folder: string) => openCheckpoint(openFolder(folder), LORA_FILE);
const goldenLora = () => openLora(sharedPath("goldens/micro_lora") as string);

const golden = async () => readGoldenFile((await openGoldens(gpu, sharedPath("goldens") as string)).folder, "lora.safetensors");

/** The model's output on the golden's inputs. */
async function outputOf(unet: UNet2DConditionModel): Promise<Float32Array> {
  const { output } = await runUNet(gpu, unet, inputsOf(await golden()));
  return output.data;
}

loraTest("a LoRA file changes the U-Net's output as peft does, and detached no longer", async (unet) => {
  const plain = await outputOf(unet);
  const file = await goldenLora();
  const lora = await attachLoraOf(unet, file);
  await loadModel(gpu, lora, file, { prefixes: loraPrefixes });
  const expected = (await golden()).tensor("out.sample").data;
  assert.ok(relativeError(await outputOf(unet), expected) < 1e-4);
  assert.ok(relativeError(plain, expected) > 1e-3);
  lora.detach();
  assert.deepEqual(await outputOf(unet), plain);
  freeModel(lora);
  await file.close();
});

loraTest("a LoRA is saved under the keys and with the values that it was loaded with; an alpha of its own is kept", async (unet) => {
  const file = await goldenLora();
  const lora = await attachLoraOf(unet, file);
  await loadModel(gpu, lora, file, { prefixes: loraPrefixes });
  const folder = temporaryFolder();
  await writeSafetensorsFile(join(folder, LORA_FILE), [...parameterOutputs(lora.parameters, LORA_PREFIX), ...lora.alphas]);
  const again = await openLora(folder);
  assert.deepEqual([...again.tensors.keys()].sort(), [...file.tensors.keys()].sort());
  const values = async (checkpoint: Checkpoint, key: string) => new Float32Array((await readTensor(checkpoint, checkpoint.tensors.get(key)!)).slice().buffer);
  const [key] = file.tensors.keys();
  if (file.tensors.get(key)!.dtype === "F32") assert.deepEqual(await values(again, key), await values(file, key));
  lora.detach();
  const other = attachLora(unet, { rank: 3, alpha: 6 });
  assert.equal(other.parameters.size, lora.parameters.size);
  assert.equal(other.alphas.length, other.parameters.size / 2);
  await loadModel(gpu, other, initialWeights(other.parameters, 1, (parameter) => loraInitialValues(parameter)), { dtype: "f32" });
  const second = temporaryFolder();
  await writeSafetensorsFile(join(second, LORA_FILE), [...parameterOutputs(other.parameters, LORA_PREFIX), ...other.alphas]);
  other.detach();
  const secondFile = await openLora(second);
  const third = await attachLoraOf(unet, secondFile);
  assert.deepEqual([...unet.parameters.values()].flatMap(({ lowRank }) => lowRank?.factor ?? []), Array(other.alphas.length).fill(2));
  third.detach();
  for (const model of [lora, other]) freeModel(model);
  for (const checkpoint of [file, again, secondFile]) await checkpoint.close();
});

loraTest("fresh factors change nothing", async (unet) => {
  const plain = await outputOf(unet);
  const lora = attachLora(unet, { rank: 4, alpha: 4 });
  await loadModel(gpu, lora, initialWeights(lora.parameters, 1, (parameter) => loraInitialValues(parameter)), { dtype: "f32" });
  assert.deepEqual(await outputOf(unet), plain);
  freeModel(lora);
});

loraTest("factors of other layers and files without factors are refused by name", async (unet) => {
  const source = (keys: string[]): TensorSource => ({ name: "x.safetensors", tensors: new Map(keys.map((name) => [name, { name, dtype: "F32" as const, shape: [4, 16], byteLength: 256 }])), read: () => assert.fail() });
  const refused = (keys: string[], message: RegExp) => assert.rejects(attachLoraOf(unet, source(keys)), (error) => error instanceof WeightsError && message.test(error.message));
  await refused(["unet.conv_in.lora.down.weight"], /holds unet.conv_in.lora.down.weight, which is no factor/);
  await refused(["text_encoder.x.lora_A.weight"], /no factor/);
  await refused([], /holds no LoRA factors/);
});
