import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { latentSample } from "../src/ops/diffusion.ts";
import { Tape } from "../src/tape.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const factor = 0.18215;
const clamped = (l: number) => Math.min(20, Math.max(-30, l));

/** Gradient of the log-variances, in plain loops. */
function dlogvarReference(dy: ArrayLike<number>, logvar: ArrayLike<number>, noise: ArrayLike<number>, round: Round): Float64Array {
  return Float64Array.from(logvar, (l, i) => {
    const slope = round(round(round(0.5 * round(factor)) * noise[i]) * round(Math.exp(round(0.5 * l))));
    return l === clamped(l) ? round(dy[i] * slope) : 0;
  });
}

test("the reference's gradients are the derivatives of the sample", () => {
  const [mean, noise, dy] = [randomValues(5, 1), randomValues(5, 2), randomValues(5, 3)];
  const logvar = Float32Array.of(-31, -3, 0, 2, 20.5);
  const sample = (m: ArrayLike<number>, l: ArrayLike<number>) => Array.from(m, (value, i) => (value + Math.exp(0.5 * clamped(l[i])) * noise[i]) * factor);
  assertDerivative((at) => sample(at, [0, 0, 0, 0, 0]), mean, dy, dy.map((value) => value * factor), "mean");
  assertDerivative((at) => sample(mean, at), logvar, dy, dlogvarReference(dy, logvar, noise, Number), "logvar");
});

for (const dtype of testDtypes(gpu)) {
  test(`latent sample backward ${dtype}`, async () => {
    const shape = [3, 7, 5, 4];
    const [m, l, e, g] = [1, 2, 3, 4].map((seed) => randomValues(420, seed, dtype, 4));
    l[0] = -31;
    l[1] = 20.5;
    const [mean, logvar, noise, dy] = [m, l, e, g].map((values) => upload(gpu, values, shape, dtype));
    const [dmean, dlogvar] = await tapeGradients(gpu, [mean, logvar], () => latentSample(mean, logvar, noise, factor), dy);
    assertMatches(dmean, (round) => g.map((value) => round(value * round(factor))), dtype, "dmean");
    assertMatches(dlogvar, (round) => dlogvarReference(g, l, e, round), dtype, "dlogvar");
    for (const tensor of [mean, logvar, noise, dy]) tensor.free();
  });
}

test("gradients through several samples of one item are refused, not lost", () => {
  const [one, two] = [upload(gpu, randomValues(4, 1), [1, 4]), upload(gpu, randomValues(8, 1), [2, 4])];
  const tape = new Tape(gpu);
  tape.watch([one]);
  assert.throws(() => tape.run(() => latentSample(one, one, two, 1)), (error) => error instanceof ShapeError && /one sample of every item/.test(error.message));
});
