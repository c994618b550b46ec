import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { Schedule } from "../src/diffusion/schedule.ts";
import { UNet2DConditionModel } from "../src/models/unet.ts";
import { readUNetConfig } from "../src/models/unet_config.ts";
import { pytorchOrder } from "../src/training/checkpoint.ts";
import { type TimestepTensors, denoisingLoss, timestepValues } from "../src/training/denoising_loss.ts";
import { Optimisation, type StepResult } from "../src/training/optimisation.ts";
import { type Recipe, completeRecipe } from "../src/training/recipe.ts";
import { createTrainedPart, freeTrainedPart } from "../src/training/trained_part.ts";
import { readJson } from "../src/weights/byte_source.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { findWeights, openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { readGolden, relativeError } from "./golden.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();

/** SD 1.5's schedule, which the golden's noise follows. */
const schedule = new Schedule("scheduler_config.json", { num_train_timesteps: 1000, beta_schedule: "scaled_linear", beta_start: 0.00085, beta_end: 0.012 });

const recipe = (options: Partial<Recipe>) => completeRecipe({ maxSteps: 10, warmupSteps: 2, batchSize: 2, accumulationSteps: 2, learningRate: 5e-3, dtype: "f32", textDrop: 0, ...options });

/** Six steps of micro_unet on the golden's batches. */
async function sixSteps(options: Partial<Recipe>) {
  const { tensors } = await readGolden("goldens/train.safetensors");
  const folder = openFolder(sharedPath("goldens/micro_unet") as string);
  const unet = new UNet2DConditionModel(readUNetConfig("config.json", (await readJson(folder, "config.json")) as Record<string, unknown>));
  const checkpoint = await openCheckpoint(folder, await findWeights(folder, ""));
  const place = { folder: "unet", weightsFile: "diffusion_pytorch_model.safetensors", keyPrefix: "" } as const;
  const complete = recipe(options);
  const part = await createTrainedPart(gpu, unet, place, { weights: checkpoint }, { dtype: complete.dtype, ema: true });
  await checkpoint.close();

  const vector = () => gpu.empty([2]);
  const at: TimestepTensors = { timesteps: vector(), sqrtAlpha: vector(), sqrtOneMinusAlpha: vector(), minusSqrtOneMinusAlpha: vector(), weights: vector() };
  const [z, noise, text] = [gpu.empty([2, 16, 16, 4]), gpu.empty([2, 16, 16, 4]), gpu.empty([2, 9, 24])];
  const optimisation = new Optimisation(gpu, complete, [part], () => denoisingLoss(unet, { z, noise, text }, at, complete));
  const batchOf = (name: string, i: number) => {
    const { data, shape } = tensors.get(`in.${name}`)!;
    const size = data.length / shape[0];
    return data.slice(i * size, (i + 1) * size);
  };
  const results: StepResult[] = [];
  for (let step = 0; step < 6; step++) {
    for (let i = 0; i < 2; i++) {
      z.write(channelsLast(batchOf("z", 2 * step + i)));
      noise.write(channelsLast(batchOf("noise", 2 * step + i)));
      text.write(batchOf("context", 2 * step + i));
      const values = timestepValues(schedule, complete, [...batchOf("t", 2 * step + i)]);
      for (const name of Object.keys(at) as (keyof TimestepTensors)[]) at[name].write(values[name]);
      optimisation.accumulate(i);
    }
    results.push(await optimisation.update(step));
  }
  return { part, results, bytes: optimisation.passBytes, free: () => (optimisation.free(), freeTrainedPart(part)) };
}

/** [2, 4, 16, 16] to [2, 16, 16, 4]. */
function channelsLast(values: Float32Array): Float32Array {
  return Float32Array.from(values, (_, i) => values[(Math.floor(i / 1024) * 4 + (i % 4)) * 256 + (Math.floor(i / 4) % 256)]);
}

const variants: Record<string, Partial<Recipe>> = {
  eps: {},
  eps_minsnr: { minSnrGamma: 5 },
  v_minsnr: { minSnrGamma: 5, predictionType: "v_prediction" },
};

for (const [name, options] of Object.entries(variants)) {
  test(`six optimiser steps of micro_unet meet PyTorch's: ${name}`, needsShared("goldens/train.safetensors"), async () => {
    const golden = JSON.parse(readFileSync(sharedPath("goldens/train.json") as string, "utf8"))[name];
    const { tensors } = await readGolden("goldens/train.safetensors");
    const { part, results, free } = await sixSteps(options);
    for (const [step, { losses, learningRate, emaDecay, state }] of results.entries()) {
      const expected = golden.log[step];
      assert.ok(relativeError(losses, expected.losses) < 1e-4, `step ${step}: losses ${losses}, expected ${expected.losses}`);
      assert.ok(Math.abs(state.gradientNorm / expected.grad_norm - 1) < 1e-3, `step ${step}: norm ${state.gradientNorm}, expected ${expected.grad_norm}`);
      assert.ok(Math.abs(learningRate - expected.lr) < 1e-9 && Math.abs(emaDecay - expected.ema_decay) < 1e-12);
    }
    for (const [kind, set] of [["param", part.weights], ["ema", part.ema!]] as const) {
      let squares = 0;
      for (const [key, parameter] of set) {
        const values = pytorchOrder(parameter, await parameter.tensor.read());
        squares += values.reduce((sum, value) => sum + value * value, 0);
        const expected = tensors.get(`${name}.${kind}.${key}`);
        if (expected) assert.ok(relativeError(values, expected.data) < 1.5e-4, `${kind} ${key}: ${relativeError(values, expected.data)}`);
      }
      assert.ok(Math.abs(squares / golden[`${kind}_sum_sq`] - 1) < 1e-5, `${kind}: ${squares}`);
    }
    free();
  });
}

test("gradient checkpointing gives the same bits in less memory", needsShared("goldens/train.safetensors"), async () => {
  const plain = await sixSteps({});
  const checkpointed = await sixSteps({ gradientCheckpointing: true });
  assert.deepEqual(checkpointed.results, plain.results);
  for (const [key, parameter] of plain.part.weights) assert.deepEqual(await checkpointed.part.weights.get(key)!.tensor.read(), await parameter.tensor.read(), key);
  assert.ok(checkpointed.bytes < 0.8 * plain.bytes, `${checkpointed.bytes} bytes instead of ${plain.bytes}`);
  plain.free();
  checkpointed.free();
});
