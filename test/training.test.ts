import assert from "node:assert/strict";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { InputError, TrainingError } from "../src/errors.ts";
import { narrowFloat16, widenFloat16 } from "../src/float16.ts";
import { loadModel } from "../src/models/load.ts";
import { type Packing, Parameter } from "../src/models/parameters.ts";
import { full, zeros } from "../src/ops/fill.ts";
import { l1Loss, mseLoss } from "../src/ops/loss.ts";
import { add, scale } from "../src/ops/pointwise.ts";
import type { Tensor } from "../src/tensor.ts";
import { checkpointFiles, pytorchOrder } from "../src/training/checkpoint.ts";
import { saveCheckpoint } from "../src/training/checkpoint_node.ts";
import { dataOrder } from "../src/training/data_order.ts";
import { drawText, drawTimestep } from "../src/training/draws.ts";
import { initialWeights } from "../src/training/initial_weights.ts";
import { type StepRecord, train } from "../src/training/loop.ts";
import { watchLoss } from "../src/training/loss_watch.ts";
import { Optimisation } from "../src/training/optimisation.ts";
import { type Recipe, completeRecipe, globalBatch, publishedRecipe } from "../src/training/recipe.ts";
import { learningRateAt } from "../src/training/schedule_lr.ts";
import { createTrainedPart, freeTrainedPart } from "../src/training/trained_part.ts";
import { temporaryFolder } from "./cli_process.ts";
import { toyModel, toyPlace, toyRecipe, toyTask } from "./training_run.ts";

const gpu = await testGpu();

// --- the recipe ------------------------------------------------------------------------------------------------------

test("the published recipe: a global batch of 256, warm-up, cosine to 0", () => {
  assert.equal(globalBatch(publishedRecipe), 256);
  assert.equal(learningRateAt(publishedRecipe, 0), 0);
  assert.equal(learningRateAt(publishedRecipe, 500), 2.5e-5);
  assert.equal(learningRateAt(publishedRecipe, 1000), 5e-5);
  assert.ok(Math.abs(learningRateAt(publishedRecipe, 15_500) - 2.5e-5) < 1e-8);
  assert.equal(learningRateAt(publishedRecipe, 30_001), 0);
});

test("a constant rate stays, a final rate is where the cosine ends", () => {
  assert.equal(learningRateAt(completeRecipe({ schedule: "constant" }), 29_000), 5e-5);
  assert.ok(Math.abs(learningRateAt(completeRecipe({ finalRate: 0.02 }), 30_001) - 1e-6) < 1e-18);
});

test("options out of their range are refused by name", () => {
  const wrong: [Partial<Recipe>, RegExp][] = [
    [{ batchSize: 0 }, /^batchSize: 0 is not a whole number of 1 or more/],
    [{ betas: [0.9, 1] }, /^betas: \[0.9,1\]/],
    [{ textDrop: 1.5 }, /^textDrop: 1.5/],
    [{ learningRate: NaN }, /^learningRate/],
    [{ timesteps: [1, 0] }, /^timesteps/],
    [{ predictionType: "sample" as "epsilon" }, /^predictionType: "sample" is not epsilon or v_prediction/],
    [{ loraRank: 4, trainTextEncoder: true }, /^trainTextEncoder/],
  ];
  for (const [options, message] of wrong) assert.throws(() => completeRecipe(options), (error) => error instanceof InputError && message.test(error.message));
});

// --- what is random --------------------------------------------------------------------------------------------------

test("every epoch reads each sample once, in an order of its own that a position alone gives", () => {
  const recipe = completeRecipe({ batchSize: 3, accumulationSteps: 2 });
  const order = dataOrder(recipe, 12);
  const epochs = [0, 1].map((epoch) => [0, 1].flatMap((step) => [0, 1].flatMap((part) => order.batch({ step: 2 * epoch + step, part }))));
  for (const epoch of epochs) assert.deepEqual([...epoch].sort((a, b) => a - b), Array.from({ length: 12 }, (_, i) => i));
  assert.notDeepEqual(epochs[0], epochs[1]);
  assert.deepEqual(dataOrder(recipe, 12).batch({ step: 3, part: 1 }), epochs[1].slice(9));
  assert.throws(() => dataOrder(recipe, 0), /holds no sample/);
});

test("timesteps are uniform or of a Beta distribution", () => {
  const drawn = (timesteps: Recipe["timesteps"]) => Array.from({ length: 4000 }, (_, i) => drawTimestep({ seed: 1, timesteps }, 1000, Math.floor(i / 8), i % 8));
  const moments = (values: number[]) => {
    const mean = values.reduce((a, b) => a + b) / values.length;
    return [mean, Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)];
  };
  const [a, b] = [2.2, 1.6];
  const expected = { uniform: [499.5, 1000 / Math.sqrt(12)], beta: [(1000 * a) / (a + b), (1000 * Math.sqrt((a * b) / (a + b + 1))) / (a + b)] };
  for (const [timesteps, [mean, deviation]] of [["uniform", expected.uniform], [[a, b] as const, expected.beta]] as const) {
    const [actualMean, actualDeviation] = moments(drawn(timesteps));
    assert.ok(Math.abs(actualMean - mean) < 15 && Math.abs(actualDeviation - deviation) < 10, `${actualMean} +- ${actualDeviation}`);
  }
});

test("texts are dropped as often as asked, alternatives are taken equally often", () => {
  const counts = new Map<string, number>();
  for (let i = 0; i < 3000; i++) {
    const text = drawText({ seed: 3, textDrop: 0.3 }, "a | b|", i, 5);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), ["", "a", "b"]);
  assert.ok(Math.abs((counts.get("") ?? 0) - 900) < 90 && Math.abs((counts.get("a") ?? 0) - 1050) < 100, JSON.stringify([...counts]));
});

// --- weights ---------------------------------------------------------------------------------------------------------

test("weights come back from the device in the order of elements that they were loaded in", async () => {
  const shapes: [Packing, number[]][] = [["linear", [5, 7]], ["conv", [4, 3, 3, 2]], ["plain", [9]], ["table", [6, 5]]];
  for (const [packing, shape] of shapes) {
    const parameter = new Parameter("x.weight", shape, packing);
    const model = { parameters: new Map([["x.weight", parameter]]), ignoredKeys: /^$/ };
    const source = initialWeights(model.parameters, 1);
    await loadModel(gpu, model, source, { dtype: "f32" });
    const entry = source.tensors.get("x.weight");
    const original = new Float32Array((await source.read(entry!, 0, entry!.byteLength)).buffer);
    assert.deepEqual(pytorchOrder(parameter, await parameter.tensor.read()), original, packing);
    parameter.free();
  }
});

test("initial weights: uniform within the fan in, norms 1 and 0, the same for one seed", async () => {
  const parameters = new Map([["a.weight", [4, 3, 3, 3]], ["a.bias", [4]], ["n.weight", [5]], ["n.bias", [5]]].map(([name, shape]) => [name as string, new Parameter(name as string, shape as number[], "plain")]));
  const values = async (name: string, seed: number) => {
    const source = initialWeights(parameters, seed);
    const entry = source.tensors.get(name)!;
    return new Float32Array((await source.read(entry, 0, entry.byteLength)).buffer);
  };
  const bound = 1 / Math.sqrt(27);
  const weight = await values("a.weight", 1);
  assert.ok(weight.every((value) => Math.abs(value) <= bound) && Math.max(...weight) > 0.8 * bound);
  assert.ok((await values("a.bias", 1)).every((value) => value !== 0 && Math.abs(value) <= bound));
  assert.deepEqual([...(await values("n.weight", 1)), ...(await values("n.bias", 1))], [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual(await values("a.weight", 1), weight);
  assert.notDeepEqual(await values("a.weight", 2), weight);
});

// --- the run ---------------------------------------------------------------------------------------------------------

type Change = (loss: () => Tensor, toy: ReturnType<typeof toyModel>) => Tensor;

/** A toy run's parts; `change` replaces the loss. */
async function toyRun(recipe: Recipe, change: Change = (loss) => loss()) {
  const toy = toyModel();
  const part = await createTrainedPart(gpu, toy.model, toyPlace, { weights: initialWeights(toy.model.parameters, 1) }, { dtype: recipe.dtype, ema: true });
  const task = toyTask(gpu, recipe, toy);
  const loss = () => gpu.scope("toy", () => change(task.loss, toy));
  const optimisation = new Optimisation(gpu, recipe, [part], loss);
  const records: StepRecord[] = [];
  const saved: number[] = [];
  const run = {
    recipe, optimisation, fillBatch: task.fillBatch, loss, firstStep: 0, saveEvery: 4,
    onStep: (record: StepRecord) => void records.push(record),
    save: async (steps: number) => void saved.push(steps),
  };
  const free = () => {
    optimisation.free();
    task.free();
    freeTrainedPart(part);
  };
  return { toy, part, run, records, saved, free };
}

test("a run lowers its loss, logs every step and saves at intervals and at the end", async () => {
  const { run, records, saved, free } = await toyRun(toyRecipe(30));
  await train(run);
  assert.deepEqual(records.map(({ step }) => step), Array.from({ length: 30 }, (_, i) => i + 1));
  assert.deepEqual(saved, [4, 8, 12, 16, 20, 24, 28, 30]);
  const mean = (part: StepRecord[]) => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
  assert.ok(mean(records.slice(20)) < mean(records.slice(0, 10)), `${mean(records.slice(0, 10))} to ${mean(records.slice(20))}`);
  assert.equal(records[0].learningRate, 0);
  free();
});

test("an interrupted run finishes its step, saves it and throws the signal's reason", async () => {
  const { run, saved, records, free } = await toyRun(toyRecipe(30));
  const controller = new AbortController();
  const onStep = (record: StepRecord) => {
    run.onStep(record);
    if (record.step === 3) controller.abort();
  };
  await assert.rejects(train({ ...run, onStep, signal: controller.signal }), { name: "AbortError" });
  assert.deepEqual([records.length, saved], [3, [3]]);
  free();
});

test("a run that is interrupted while it validates saves its step too", async () => {
  const { run, saved, free } = await toyRun(toyRecipe(30));
  const controller = new AbortController();
  const validate = async (steps: number) => {
    if (steps < 2) return;
    controller.abort();
    controller.signal.throwIfAborted(); // as grounding does
  };
  await assert.rejects(train({ ...run, validate, validateEvery: 1, signal: controller.signal }), { name: "AbortError" });
  assert.deepEqual(saved, [2]);
  free();
});

/** What makes a run's numbers infinite, and what is said of it. */
const infinities: [where: string, change: Change, message: RegExp][] = [
  ["the loss", (loss) => scale(loss(), Infinity),
    /the loss is Infinity, on the way there an output in toy, \[1\], is the first that is not finite, the gradients of \d+ parameters are not finite, on the way back first that of toy\/filter.weight; no checkpoint was saved before/],
  ["an activation", (loss, { table: { tensor } }) => add(loss(), l1Loss(scale(tensor, Infinity), zeros(gpu, tensor.shape))),
    /the loss is Infinity, on the way there what comes of toy\/table.weight, \[11,6\], is the first/],
  // The square of 1e-18 times 1e60 is finite, its slope is not.
  ["a gradient", (loss, { norm: { bias } }) => add(loss(), scale(scale(mseLoss(bias.tensor, full(gpu, bias.shape, 1e-18)), 1e30), 1e30)),
    /the loss is finite, the gradients of 1 parameters are not finite, on the way back first that of toy\/norm.bias;/],
];
for (const [where, change, message] of infinities) {
  test(`${where} that is no longer finite ends the run with nothing saved, and is named`, async () => {
    const { run, saved, free } = await toyRun(toyRecipe(30), change);
    await assert.rejects(train(run), (error) => error instanceof TrainingError && /stopped at step 1: [^\n]*--start-from/.test(error.message) && message.test(error.message));
    assert.deepEqual(saved, []);
    free();
  });
}

test("a weight that is no longer finite is named, and no checkpoint is written of it", async () => {
  const { part, run, free } = await toyRun(toyRecipe(3));
  const gate = part.stored.get("gate.weight") as Parameter;
  gate.tensor.write(new Float32Array(gate.size).fill(NaN));
  await assert.rejects(train(run), /on the way there the weight toy\/gate.weight is the first/);
  await assert.rejects(saveCheckpoint(temporaryFolder(), 1, {}, checkpointFiles([part], run.optimisation.state), 1), /gate.weight is no longer finite; nothing was saved/);
  free();
});

/** A run whose loss is ten times what it was from step 81 on. */
async function divergingRun(maxSteps: number) {
  const toy = await toyRun(toyRecipe(maxSteps));
  const lossWatch = watchLoss(3);
  const add = (step: number, loss: number) => lossWatch.add(step, step > 80 ? 10 * loss : loss);
  return { ...toy, run: { ...toy.run, lossWatch: { add } } };
}

test("a run whose loss diverges is stopped; while it rises nothing is saved", async () => {
  const { run, records, saved, free } = await divergingRun(400);
  await assert.rejects(train(run), /training: stopped at step \d+: the loss diverges: it is \S+ and has been far above \S+, its lowest at step \d+, for too long/);
  assert.ok(records.length > 180 && records.length < 260, `${records.length} steps`);
  assert.ok(Math.max(...saved) < 100, `saved at ${saved}`);
  free();
});

test("a run that ends while its loss diverges does not save its last step, and names the checkpoint before", async () => {
  const { run, records, saved, free } = await divergingRun(120);
  await assert.rejects(train(run), (error) => {
    assert.ok(error instanceof TrainingError);
    assert.match(error.message, /stopped at step 120: the loss diverges: .*up to the last step; the checkpoint of step \d+ is kept/);
    return error.message.includes(`the checkpoint of step ${saved[saved.length - 1]} is kept`);
  });
  assert.equal(records.length, 120);
  assert.ok(Math.max(...saved) < 100, `saved at ${saved}`);
  free();
});

test("losses that are noisy, close to 0 or skipped do not diverge; a factor of 0 lets all pass", () => {
  const states = (factor: number, loss: (step: number) => number) => {
    const watch = watchLoss(factor);
    return Array.from({ length: 600 }, (_, i) => watch.add(i + 1, loss(i + 1)));
  };
  const diverges = (factor: number, loss: (step: number) => number) => states(factor, loss).some(({ diverged }) => diverged);
  assert.equal(diverges(3, (step) => (step % 7 === 0 ? 3 : 0.1)), false);
  assert.equal(diverges(3, (step) => 10 * Math.exp(-step / 20) + (step > 400 ? 0.1 : 0)), false);
  assert.equal(diverges(3, (step) => (step % 3 === 0 ? NaN : 1)), false);
  assert.equal(diverges(3, (step) => (step < 200 ? 0.2 : 2)), true);
  assert.equal(diverges(3, (step) => (step < 200 ? 1 / step : 0.9)), true);
  assert.equal(diverges(0, (step) => (step < 200 ? 0.2 : 200)), false);
  const [last] = states(3, (step) => (step < 200 ? 0.2 : 0.4)).slice(-1);
  assert.deepEqual([last.rising, last.lowestStep > 45], [false, true]);
});

test("with f16 the passes read the rounded master weights; overflows skip steps and lower the loss scale", { skip: gpu.has("shader-f16") ? false : "no shader-f16" }, async () => {
  const recipe = { ...toyRecipe(8), dtype: "f16" as const, lossScale: 2 ** 40, scaleBackoff: 2 ** -10 };
  const { toy, part, run, records, free } = await toyRun(recipe);
  const master = part.weights.get("table.weight") as Parameter;
  const start = await master.tensor.read();
  assert.equal(toy.table.tensor.dtype, "f16");
  await train(run);
  const skipped = records.map(({ skippedSteps }) => skippedSteps);
  assert.ok(skipped[0] === 1 && skipped[7] < 8 && skipped[7] === records.filter(({ gradientNorm }) => gradientNorm === undefined).length, `${skipped}`);
  assert.equal(records[7].lossScale, 2 ** (40 - 10 * skipped[7]));
  const end = await master.tensor.read();
  assert.notDeepEqual(end, start);
  assert.deepEqual(await toy.table.tensor.read(), widenFloat16(narrowFloat16(end)));
  free();
});

test("nothing is left on the device after a run", async () => {
  const once = async () => {
    const { run, free } = await toyRun(toyRecipe(2));
    await train(run);
    free();
  };
  await once();
  const before = gpu.memory().live;
  await once();
  assert.equal(gpu.memory().live, before);
});
