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
import { readJson } from "../src/weights/byte_source.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { findWeights, openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { readGolden, relativeError } from "./golden.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();
const golden = "goldens/unet_backward.safetensors";

async function microUNet(): Promise<UNet2DConditionModel> {
  const folder = openFolder(sharedPath("goldens/micro_unet") as string);
  const unet = new UNet2DConditionModel(readUNetConfig("config.json", (await readJson(folder, "config.json")) as Record<string, unknown>));
  const weights = await openCheckpoint(folder, await findWeights(folder, ""));
  await loadModel(gpu, unet, weights, { dtype: "f32" });
  await weights.close();
  return unet;
}

/** Loss and gradients of the golden's pass, by the golden's names, in PyTorch's layouts. */
async function goldenPass(gradientCheckpointing: boolean): Promise<Map<string, Float32Array>> {
  const unet = await microUNet();
  const { tensors } = await readGolden(golden);
  const given = (name: string) => gpu.keep(gpu.tensor(tensors.get(`in.${name}`)!.data, tensors.get(`in.${name}`)!.shape));
  const [sample, text, timestep, target] = ["sample", "encoder_hidden_states", "timestep", "target"].map(given);
  const tape = new Tape(gpu);
  tape.watch([sample, text, ...[...unet.parameters.values()].map(({ tensor }) => tensor)]);
  const [loss, gradients] = gpu.scope("test", () => {
    const loss = tape.run(() => {
      const prediction = unet.forward(toChannelsLast(sample), timestep, { keyValues: unet.projectText(text) }, { gradientCheckpointing }) as Tensor;
      return mseLoss(prediction, toChannelsLast(target));
    });
    return [gpu.keep(loss), backward(tape, loss, gpu.tensor(Float32Array.of(1), [1]))] as const;
  });
  const values = new Map([["out.loss", await loss.read()]]);
  const add = async (name: string, tensor: Tensor, order = (data: Float32Array) => data) => {
    const gradient = gradients.get(tensor);
    assert.ok(gradient, `${name} has no gradient`);
    values.set(`grad.${name}`, order(await gradient.read()));
  };
  await add("in.sample", sample);
  await add("in.encoder_hidden_states", text);
  for (const [name, parameter] of unet.parameters) await add(name, parameter.tensor, (data) => pytorchOrder(parameter, data));
  gradients.free();
  return values;
}

/** PyTorch's own float32 is off by 1.5e-4. */
const bound = 1.5e-4;

test("loss and gradients of micro_unet's parameters, sample and text are PyTorch's", needsShared(golden), async () => {
  const { tensors } = await readGolden(golden);
  const values = await goldenPass(false);
  const expected = [...tensors.keys()].filter((name) => name.startsWith("grad."));
  assert.deepEqual([...values.keys()].filter((name) => name.startsWith("grad.")).sort(), expected.sort());
  for (const [name, data] of values) {
    const error = relativeError(data, tensors.get(name)!.data);
    assert.ok(error < bound, `${name}: ${error}`);
  }
});

test("gradient checkpointing gives micro_unet's gradients bit for bit", needsShared(golden), async () => {
  assert.deepEqual(await goldenPass(true), await goldenPass(false));
});
