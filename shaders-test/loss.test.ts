import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { crossEntropyLoss, klLoss, l1Loss, mseLoss } from "../src/ops/loss.ts";
import type { Tensor } from "../src/tensor.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const dtypes = testDtypes(gpu);
/** The gradient that reaches every loss: a loss scale that keeps f16 gradients out of the subnormal numbers. */
const lossScale = 3072;

async function valueOf(run: () => Tensor): Promise<Float32Array> {
  const loss = gpu.scope("test", run);
  assert.deepEqual([loss.shape, loss.dtype], [[1], "f32"]);
  const value = await loss.read();
  loss.free();
  return value;
}

async function gradientsOf(run: () => Tensor, ...watched: Tensor[]): Promise<Float32Array[]> {
  const dloss = upload(gpu, Float32Array.of(lossScale), [1]);
  const gradients = await tapeGradients(gpu, watched, run, dloss);
  dloss.free();
  return gradients;
}

// --- differences ---------------------------------------------------------------------------------------------------

const differences = {
  mse: { op: mseLoss, value: (d: number, round: Round) => round(d * d), slope: (d: number) => 2 * d },
  l1: { op: l1Loss, value: Math.abs, slope: Math.sign },
};
type Difference = (typeof differences)["mse"];

function differenceReference({ value }: Difference, p: ArrayLike<number>, t: ArrayLike<number>, weights: ArrayLike<number>, round: Round): [number] {
  const item = p.length / weights.length;
  let total = 0;
  for (let b = 0; b < weights.length; b++) {
    let sum = 0;
    for (let i = b * item; i < (b + 1) * item; i++) sum = round(sum + value(round(p[i] - t[i]), round));
    total = round(total + round(weights[b] * sum));
  }
  return [round(total * round(1 / p.length))];
}

function differenceBackwardReference({ slope }: Difference, p: ArrayLike<number>, t: ArrayLike<number>, weights: ArrayLike<number>, round: Round): Float64Array {
  const factors = Array.from(weights, (weight) => round(round(lossScale * round(1 / p.length)) * weight));
  return Float64Array.from(p, (value, i) => round(factors[Math.floor((i * weights.length) / p.length)] * slope(round(value - t[i]))));
}

for (const [name, kind] of Object.entries(differences)) {
  test(`the reference's gradient is the derivative of its ${name} loss`, () => {
    const [p, t, weights] = [randomValues(6, 1), randomValues(6, 2), [0.5, 2]];
    assertDerivative((at) => differenceReference(kind, at, t, weights, Number), p, [lossScale], differenceBackwardReference(kind, p, t, weights, Number), name);
  });

  for (const dtype of dtypes) {
    for (const targetDtype of dtypes) {
      for (const [batches, itemSize] of [[1, 1], [3, 7], [4, 1024], [2, 70_001], [1025, 3]] as const) {
        test(`${name} loss of ${dtype} against ${targetDtype}, ${batches}x${itemSize}`, async () => {
          const count = batches * itemSize;
          const [p, t] = [randomValues(count, 1, dtype), randomValues(count, 2, targetDtype)];
          p[0] = t[0] = 0.5;
          const given = randomValues(batches, 3).map(Math.abs);
          const [prediction, target] = [upload(gpu, p, [batches, itemSize], dtype), upload(gpu, t, [batches, itemSize], targetDtype)];
          const weights = upload(gpu, given, [batches]);
          for (const [w, factors] of [[undefined, given.map(() => 1)], [weights, given]] as const) {
            const run = () => kind.op(prediction, target, { weights: w });
            assertMatches(await valueOf(run), (round) => differenceReference(kind, p, t, factors, round), "f32", name);
            const [dp] = await gradientsOf(run, prediction);
            assertMatches(dp, (round) => differenceBackwardReference(kind, p, t, factors, round), dtype, `gradient of ${name}`);
          }
          for (const tensor of [prediction, target, weights]) tensor.free();
        });
      }
    }
  }
}

test("a difference loss has the same bits every time", async () => {
  const [p, t] = [upload(gpu, randomValues(90_000, 1), [3, 30_000]), upload(gpu, randomValues(90_000, 2), [3, 30_000])];
  const first = await valueOf(() => mseLoss(p, t));
  for (let i = 0; i < 5; i++) assert.deepEqual(await valueOf(() => mseLoss(p, t)), first);
});

// --- KL divergence -------------------------------------------------------------------------------------------------

const clamped = (l: number) => Math.min(20, Math.max(-30, l));

function klReference(mean: ArrayLike<number>, logvar: ArrayLike<number>, batches: number, round: Round): [number] {
  let sum = 0;
  for (let i = 0; i < mean.length; i++) {
    const l = clamped(logvar[i]);
    sum = round(sum + round(round(round(round(mean[i] * mean[i]) + round(Math.exp(l))) - 1) - l));
  }
  return [round(sum * (0.5 / batches))];
}

function klBackwardReference(mean: ArrayLike<number>, logvar: ArrayLike<number>, batches: number, round: Round) {
  const factor = round(lossScale * round(0.5 / batches));
  const inside = (l: number) => l >= -30 && l <= 20;
  return {
    dmean: Float64Array.from(mean, (value) => round(factor * 2 * value)),
    dlogvar: Float64Array.from(logvar, (l) => (inside(l) ? round(factor * round(round(Math.exp(l)) - 1)) : 0)),
  };
}

test("the reference's gradients are the derivatives of its KL loss", () => {
  const [mean, logvar] = [randomValues(6, 1, "f32", 2), Float32Array.of(-31, -2, 0, 1, 3, 2)];
  const { dmean, dlogvar } = klBackwardReference(mean, logvar, 2, Number);
  assertDerivative((at) => klReference(at, logvar, 2, Number), mean, [lossScale], dmean, "mean");
  assertDerivative((at) => klReference(mean, at, 2, Number), logvar, [lossScale], dlogvar, "logvar");
});

for (const dtype of dtypes) {
  for (const shape of [[1, 1], [2, 3, 5, 4], [3, 40_001]]) {
    test(`KL loss ${dtype} ${shape}`, async () => {
      const count = shape.reduce((a, b) => a * b);
      const [m, l] = [randomValues(count, 1, dtype, 2), randomValues(count, 2, dtype, 3)];
      l[0] = -35;
      const [mean, logvar] = [upload(gpu, m, shape, dtype), upload(gpu, l, shape, dtype)];
      assertMatches(await valueOf(() => klLoss(mean, logvar)), (round) => klReference(m, l, shape[0], round), "f32", "KL");
      const [dmean, dlogvar] = await gradientsOf(() => klLoss(mean, logvar), mean, logvar);
      assertMatches(dmean, (round) => klBackwardReference(m, l, shape[0], round).dmean, dtype, "dmean");
      assertMatches(dlogvar, (round) => klBackwardReference(m, l, shape[0], round).dlogvar, dtype, "dlogvar");
      mean.free();
      logvar.free();
    });
  }
}

test("KL loss of large log-variances stays finite", async () => {
  const [mean, logvar] = [upload(gpu, Float32Array.of(0, 0), [1, 2]), upload(gpu, Float32Array.of(20, 500), [1, 2])];
  const [value] = await valueOf(() => klLoss(mean, logvar));
  assert.ok(Math.abs(value / (Math.exp(20) - 21) - 1) < 1e-5, String(value));
  const [dlogvar] = await gradientsOf(() => klLoss(mean, logvar), logvar);
  assert.ok(Math.abs(dlogvar[0] / ((lossScale / 2) * (Math.exp(20) - 1)) - 1) < 1e-5 && dlogvar[1] === 0, String(dlogvar));
});

// --- cross entropy -------------------------------------------------------------------------------------------------

const ignored = 2 ** 32 - 100;

/** Log-sum-exp of a row. */
function logSumExp(x: ArrayLike<number>, base: number, columns: number, round: Round): number {
  let greatest = -Infinity;
  for (let v = base; v < base + columns; v++) greatest = Math.max(greatest, x[v]);
  let sum = 0;
  for (let v = base; v < base + columns; v++) sum = round(sum + round(Math.exp(round(x[v] - greatest))));
  return round(greatest + round(Math.log(sum)));
}

function crossEntropyReference(x: ArrayLike<number>, targets: ArrayLike<number>, round: Round): [number] {
  const columns = x.length / targets.length;
  let [sum, count] = [0, 0];
  for (let n = 0; n < targets.length; n++) {
    if (targets[n] === ignored) continue;
    sum = round(sum + round(logSumExp(x, n * columns, columns, round) - x[n * columns + targets[n]]));
    count++;
  }
  return [round(sum / Math.max(1, count))];
}

function crossEntropyBackwardReference(x: ArrayLike<number>, targets: ArrayLike<number>, round: Round): Float64Array {
  const columns = x.length / targets.length;
  const share = round(1 / Math.max(1, Array.from(targets).filter((target) => target !== ignored).length));
  const dx = new Float64Array(x.length);
  for (let n = 0; n < targets.length; n++) {
    if (targets[n] === ignored) continue;
    const lse = logSumExp(x, n * columns, columns, round);
    for (let v = 0; v < columns; v++) {
      const probability = round(Math.exp(round(x[n * columns + v] - lse)));
      dx[n * columns + v] = round(round(lossScale * share) * round(probability - (v === targets[n] ? 1 : 0)));
    }
  }
  return dx;
}

test("the reference's gradient is the derivative of its cross entropy", () => {
  const [x, targets] = [randomValues(12, 1, "f32", 3), [2, ignored, 0]];
  assertDerivative((at) => crossEntropyReference(at, targets, Number), x, [lossScale], crossEntropyBackwardReference(x, targets, Number), "logits");
});

for (const dtype of dtypes) {
  for (const [outer, columns] of [[[1], 1], [[5], 7], [[3, 11], 64], [[129], 131], [[2], 30_522]] as const) {
    for (const variant of ["subgroup", "naive"] as const) {
      if (variant === "subgroup" && !gpu.has("subgroups")) continue;
      test(`cross entropy ${variant} ${dtype} ${outer}x${columns}`, async () => {
        const rows = outer.reduce((a: number, b: number) => a * b, 1);
        const x = randomValues(rows * columns, 1, dtype, 5);
        const ids = Uint32Array.from(randomValues(rows, 2), (value, n) => (n % 4 === 2 ? ignored : Math.floor(((value + 1) / 2) * columns)));
        const [logits, targets] = [upload(gpu, x, [...outer, columns], dtype), gpu.tensor(ids, outer)];
        const run = () => crossEntropyLoss(logits, targets, { variant });
        assertMatches(await valueOf(run), (round) => crossEntropyReference(x, ids, round), "f32", "cross entropy");
        const [dlogits] = await gradientsOf(run, logits);
        assertMatches(dlogits, (round) => crossEntropyBackwardReference(x, ids, round), dtype, "dlogits");
        logits.free();
        targets.free();
      });
    }
  }
}

test("cross entropy: rows all ignored, another ignored index, huge logits, targets that are no column", async () => {
  const logits = upload(gpu, Float32Array.of(1e5, -1e5, 0, 3, 3, 3), [2, 3]);
  const loss = (targets: number[], ignoreIndex?: number) => () => crossEntropyLoss(logits, gpu.tensor(Uint32Array.from(targets), [2]), { ignoreIndex });
  assert.deepEqual(await valueOf(loss([ignored, ignored])), Float32Array.of(0));
  assert.deepEqual(await gradientsOf(loss([ignored, ignored]), logits), [new Float32Array(6)]);
  assert.deepEqual(await valueOf(loss([1, 0], 1)), Float32Array.of(Math.log(3)));
  assert.deepEqual(await valueOf(loss([1, ignored])), Float32Array.of(2e5));
  assert.deepEqual(await valueOf(loss([0, 3])), Float32Array.of(NaN));
});

test("shapes that do not fit are refused by name", () => {
  const [a, b] = [upload(gpu, randomValues(6, 1), [2, 3]), upload(gpu, randomValues(6, 1), [3, 2])];
  const refused = (op: () => unknown, message: RegExp) => assert.throws(op, (error) => error instanceof ShapeError && message.test(error.message));
  refused(() => mseLoss(a, b), /mseLoss: target is/);
  refused(() => l1Loss(a, a, { weights: b }), /l1Loss: weights is/);
  refused(() => klLoss(a, b), /klLoss: logvar is/);
  refused(() => crossEntropyLoss(a, b), /crossEntropyLoss: takes u32/);
  refused(() => crossEntropyLoss(a, gpu.tensor(Uint32Array.of(1, 2, 3), [3])), /crossEntropyLoss: targets is/);
});
