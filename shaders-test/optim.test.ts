import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { zeros } from "../src/ops/fill.ts";
import { type StartStepOptions, adamW, emaDecay, lossGradient, optimizerState, readOptimizerState, startStep, sumOfSquares } from "../src/ops/optim.ts";
import type { Tensor } from "../src/tensor.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";
import { needsShared, sharedPath } from "../test/shared.ts";

const gpu = await testGpu();
const betas = [0.9, 0.999] as const;
const [eps, weightDecay] = [1e-8, 1e-2];

// --- AdamW over several steps ----------------------------------------------------------------------------------------

/** Sizes of the parameters that are optimised together: quads, single elements, tails, more than one block of a sum. */
const sizes = [1, 7, 64, 4099, 20_000];
const learningRates = [0, 2e-3, 5e-3, 4e-3, 1e-3, 3e-3];
const oneMinusDecay = 1e-2;
const maxNorm = 1;
const startScale = 1024;

/** Gradients of a parameter in a step: long ones in even steps, which are clipped, short ones in odd steps, which are not. */
function gradientOf(size: number, parameter: number, step: number): Float32Array {
  return randomValues(size, 100 * parameter + step, "f32", step % 2 === 0 ? 1 : 1e-3);
}

interface Run {
  weights: Float64Array[];
  averages: Float64Array[];
  norms: number[];
}

/** torch.optim.AdamW after torch.nn.utils.clip_grad_norm_, and diffusers' EMAModel after that, in plain loops. */
function adamwReference(steps: number, round: Round): Run {
  const weights = sizes.map((size, p) => Float64Array.from(randomValues(size, p + 1)));
  const averages = sizes.map((size, p) => Float64Array.from(randomValues(size, p + 11)));
  const means = sizes.map((size) => new Float64Array(size));
  const squares = sizes.map((size) => new Float64Array(size));
  const norms: number[] = [];
  for (let step = 0; step < steps; step++) {
    const gradients = sizes.map((size, p) => gradientOf(size, p, step));
    let total = 0;
    for (const gradient of gradients) for (const g of gradient) total = round(total + round(g * g));
    const norm = round(Math.sqrt(total));
    norms.push(norm);
    const clipping = Math.min(1, round(maxNorm / round(norm + 1e-6)));
    const corrections = betas.map((beta) => round(1 - beta ** (step + 1)));
    for (const [p, weight] of weights.entries()) {
      for (let i = 0; i < weight.length; i++) {
        const g = round(gradients[p][i] * clipping);
        const mean = round(means[p][i] + round((1 - betas[0]) * round(g - means[p][i])));
        const square = round(squares[p][i] + round((1 - betas[1]) * round(round(g * g) - squares[p][i])));
        const decayed = round(weight[i] * round(1 - learningRates[step] * weightDecay));
        const deviation = round(round(round(Math.sqrt(square)) / round(Math.sqrt(corrections[1]))) + eps);
        weight[i] = round(decayed - round(round(learningRates[step] / corrections[0]) * round(mean / deviation)));
        means[p][i] = mean;
        squares[p][i] = square;
        averages[p][i] = round(averages[p][i] - round(round(oneMinusDecay) * round(averages[p][i] - weight[i])));
      }
    }
  }
  return { weights, averages, norms };
}

interface Optimised {
  weight: Tensor;
  mean: Tensor;
  square: Tensor;
  stored: Tensor;
  average: Tensor;
}

/** Takes the steps on the device; gives the parameters, the state, and the norms that it saw. */
async function optimise(steps: number, storage: "f32" | "f16"): Promise<{ parameters: Optimised[]; state: Tensor; norms: number[] }> {
  const parameters = sizes.map((size, p) => ({
    weight: upload(gpu, randomValues(size, p + 1), [size]),
    mean: zeros(gpu, [size]),
    square: zeros(gpu, [size]),
    stored: zeros(gpu, [size], storage),
    average: upload(gpu, randomValues(size, p + 11), [size]),
  }));
  const state = optimizerState(gpu, { lossScale: startScale });
  const norms: number[] = [];
  for (let step = 0; step < steps; step++) {
    gpu.scope("step", () => {
      const gradients = sizes.map((size, p) => upload(gpu, gradientOf(size, p, step).map((g) => startScale * g), [size]));
      startStep(state, gradients, { betas, maxNorm });
      const rates = upload(gpu, Float32Array.of(learningRates[step], oneMinusDecay), [2]);
      for (const [p, tensors] of parameters.entries()) adamW({ ...tensors, gradient: gradients[p] }, { state, rates, betas, eps, weightDecay });
    });
    norms.push((await readOptimizerState(state)).gradientNorm);
  }
  return { parameters, state, norms };
}

for (const storage of testDtypes(gpu)) {
  test(`AdamW with clipping, a loss scale and a moving average over ${learningRates.length} steps, stored as ${storage}`, async () => {
    const { parameters, state, norms } = await optimise(learningRates.length, storage);
    const reference = (name: keyof Run) => (round: Round) => adamwReference(learningRates.length, round)[name];
    assertMatches(norms, reference("norms") as (round: Round) => number[], "f32", "norms");
    for (const [p, { weight, stored, average }] of parameters.entries()) {
      const values = await weight.read();
      assertMatches(values, (round) => adamwReference(learningRates.length, round).weights[p], "f32", `parameter ${p}`);
      assertMatches(await stored.read(), () => values, storage, `stored parameter ${p}`);
      assertMatches(await average.read(), (round) => adamwReference(learningRates.length, round).averages[p], "f32", `average ${p}`);
    }
    const { steps, skippedSteps, correction1, correction2 } = await readOptimizerState(state);
    assert.deepEqual([steps, skippedSteps], [learningRates.length, 0]);
    assertMatches([correction1, correction2], () => betas.map((beta) => 1 - beta ** learningRates.length), "f32", "corrections");
    for (const tensor of [state, ...parameters.flatMap((tensors) => Object.values(tensors))]) tensor.free();
  });
}

test("the first step at rate 0 changes nothing, and the same steps give the same bits", async () => {
  const [first, again, none] = [await optimise(3, "f32"), await optimise(3, "f32"), await optimise(1, "f32")];
  for (const [p, { weight, mean }] of first.parameters.entries()) {
    assert.deepEqual(await weight.read(), await again.parameters[p].weight.read());
    assert.deepEqual(await mean.read(), await again.parameters[p].mean.read());
    assert.deepEqual(await none.parameters[p].weight.read(), randomValues(sizes[p], p + 1));
  }
});

// --- steps that are skipped ------------------------------------------------------------------------------------------

const scaling = { growthFactor: 2, backoffFactor: 0.5, growthInterval: 2 };

/** One step of a single weight 1 with the given gradient; gives the weight after it. */
async function stepOnce(state: Tensor, gradient: number, options: Partial<StartStepOptions> = {}): Promise<number> {
  const one = (value: number) => upload(gpu, Float32Array.of(value), [1]);
  const weight = one(1);
  gpu.scope("step", () => {
    const gradients = [one(gradient)];
    startStep(state, gradients, { betas, scaling, ...options });
    const tensors = { weight: weight, gradient: gradients[0], mean: zeros(gpu, [1]), square: zeros(gpu, [1]) };
    adamW(tensors, { state, rates: upload(gpu, Float32Array.of(0.1, 0), [2]), betas, eps, weightDecay: 0 });
  });
  const [value] = await weight.read();
  weight.free();
  return value;
}

test("a step whose gradients are not finite is skipped; the loss scale backs off and grows again", async () => {
  const state = optimizerState(gpu, { lossScale: 8 });
  const read = () => readOptimizerState(state);
  for (const gradient of [NaN, Infinity, -Infinity]) assert.equal(await stepOnce(state, gradient), 1);
  let now = await read();
  assert.deepEqual([now.lossScale, now.steps, now.skippedSteps, now.gradientFactor, now.correction1], [1, 0, 3, 0, 0]);
  assert.ok(Math.abs((await stepOnce(state, 1)) - 0.9) < 1e-6);
  now = await read();
  assert.deepEqual([now.lossScale, now.goodSteps, now.steps, now.gradientNorm, now.gradientFactor], [1, 1, 1, 1, 1]);
  await stepOnce(state, 1);
  now = await read();
  assert.deepEqual([now.lossScale, now.goodSteps, now.steps], [2, 0, 2]);
  await stepOnce(state, 6, { maxNorm: 1.5 });
  now = await read();
  assert.equal(now.gradientNorm, 3);
  assert.ok(Math.abs(now.gradientFactor - 0.25) < 1e-6, String(now.gradientFactor));
  await stepOnce(state, NaN);
  now = await read();
  assert.deepEqual([now.lossScale, now.goodSteps, now.steps, now.skippedSteps], [1, 0, 3, 4]);
});

test("the state that was read gives the same tensor again; the loss scale starts a backward pass", async () => {
  const state = optimizerState(gpu, { lossScale: 3 });
  await stepOnce(state, 0.7);
  const copy = optimizerState(gpu, await readOptimizerState(state));
  assert.deepEqual(await copy.read(), await state.read());
  assert.deepEqual(await lossGradient(copy, 2).read(), Float32Array.of(1.5));
});

// --- norm and averages -----------------------------------------------------------------------------------------------

test("the sum of squares of many tensors", async () => {
  const tensors = [1, 3, 4096, 4097, 100_003].map((size, i) => ({ values: randomValues(size, i), size }));
  const total = gpu.scope("test", () => sumOfSquares(tensors.map(({ values, size }) => upload(gpu, values, [size]))));
  const reference = (round: Round) => {
    let sum = 0;
    for (const { values } of tensors) for (const value of values) sum = round(sum + round(value * value));
    return [sum];
  };
  assertMatches(await total.read(), reference, "f32", "sum of squares");
});

test("the average follows the weight also where a step is skipped, which leaves all else as it was", async () => {
  const state = optimizerState(gpu, { lossScale: 8 });
  for (const size of [1, 1031, 4096]) {
    const [a, w, m, s] = [1, 2, 3, 4].map((seed) => randomValues(size, seed));
    const [average, weight, mean, square, stored] = [a, w, m, s, m].map((values) => upload(gpu, values, [size]));
    gpu.scope("step", () => {
      const gradient = upload(gpu, new Float32Array(size).fill(NaN), [size]);
      startStep(state, [gradient], { betas });
      adamW({ weight, gradient, mean, square, stored, average }, { state, rates: upload(gpu, Float32Array.of(0.1, 1e-4), [2]), betas, eps, weightDecay });
    });
    assertMatches(await average.read(), (round) => a.map((value, i) => round(value - round(round(1e-4) * round(value - w[i])))), "f32", "average");
    for (const [tensor, values] of [[weight, w], [mean, m], [square, s], [stored, m]] as const) assert.deepEqual(await tensor.read(), values);
  }
});

test("the EMA's decay follows diffusers", () => {
  assert.deepEqual([1, 2, 3, 11].map((step) => emaDecay(step)), [0, 2 / 11, 3 / 12, 11 / 20]);
  assert.equal(emaDecay(1_000_000), 0.9999);
  assert.equal(emaDecay(1000, 0.9), 0.9);
});

test("the EMA's decays are those of the golden training run", needsShared("goldens/train.json"), async () => {
  const golden = JSON.parse(await readFile(sharedPath("goldens/train.json") as string, "utf8"));
  for (const variant of ["eps", "eps_minsnr", "v_minsnr"]) {
    for (const [i, { ema_decay }] of golden[variant].log.entries()) assert.ok(Math.abs(emaDecay(i + 1) - ema_decay) < 1e-15, `${variant}, step ${i + 1}`);
  }
});

test("tensors that do not fit are refused by name", () => {
  const [one, two] = [zeros(gpu, [1]), zeros(gpu, [2])];
  const options = { state: optimizerState(gpu), rates: two, betas, eps, weightDecay };
  const refused = (op: () => unknown, message: RegExp) => assert.throws(op, (error) => error instanceof ShapeError && message.test(error.message));
  refused(() => adamW({ weight: two, gradient: one, mean: two, square: two }, options), /adamW: gradient is/);
  refused(() => adamW({ weight: two, gradient: two, mean: two, square: two }, { ...options, rates: one }), /adamW: rates is/);
  refused(() => startStep(two, [one], { betas }), /startStep: state is/);
  refused(() => adamW({ weight: two, gradient: two, mean: two, square: two, average: one }, options), /adamW: average is/);
});
