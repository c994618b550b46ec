import assert from "node:assert/strict";
import { test } from "node:test";
import { randomValues, testGpu, upload } from "../shaders-test/harness.ts";
import { Gradients, backward, checkpoint } from "../src/autograd.ts";
import { ShapeError } from "../src/errors.ts";
import { addInto, sumRows } from "../src/ops/accumulate.ts";
import { embedding } from "../src/ops/embed.ts";
import { fill, zeros } from "../src/ops/fill.ts";
import { mseLoss } from "../src/ops/loss.ts";
import { groupNorm, layerNorm } from "../src/ops/norm.ts";
import { adamW, lossGradient, optimizerState, startStep } from "../src/ops/optim.ts";
import { add, concatLast, copyInto, multiply, scale, silu } from "../src/ops/pointwise.ts";
import { softmax } from "../src/ops/softmax.ts";
import { Tape, differentiable } from "../src/tape.ts";
import type { Tensor } from "../src/tensor.ts";

const gpu = await testGpu();

const tensor = (values: number[]) => gpu.tensor(Float32Array.from(values), [values.length]);
const given = (shape: number[], seed: number) => upload(gpu, randomValues(shape.reduce((a, b) => a * b), seed), shape);

/** Gradients of `watched` after y = fn() with the gradient dy. */
function gradientsOf(watched: readonly Tensor[], fn: () => Tensor, dy: Tensor, into?: Gradients): Gradients {
  const tape = new Tape(gpu);
  tape.watch(watched);
  return gpu.scope("test", () => backward(tape, tape.run(fn), dy, into));
}

const read = (gradients: Gradients, of: Tensor) => (gradients.get(of) as Tensor).read();

// --- the walk back ---------------------------------------------------------------------------------------------------

test("a tensor that is used twice has the sum of both gradients", async () => {
  const [x, dy] = [tensor([1, -2, 3]), tensor([1, 10, 100])];
  assert.deepEqual([...(await read(gradientsOf([x], () => add(x, x), dy), x))], [2, 20, 200]);
  assert.deepEqual([...(await read(gradientsOf([x], () => multiply(x, x), dy), x))], [2, -40, 600]);
  const three = gradientsOf([x], () => add(add(x, scale(x, 3)), multiply(x, x)), dy);
  assert.deepEqual([...(await read(three, x))], [6, 0, 1000]);
});

test("two watched tensors may end with one gradient, which is not shared with a third", async () => {
  const [a, b, dy] = [tensor([1, 2]), tensor([3, 4]), tensor([1, 1])];
  // b's first gradient is a's buffer; its second must not change a's.
  const gradients = gradientsOf([a, b], () => add(add(a, b), scale(b, 5)), dy);
  assert.deepEqual([...(await read(gradients, a))], [1, 1]);
  assert.deepEqual([...(await read(gradients, b))], [6, 6]);
  assert.deepEqual([...(await dy.read())], [1, 1]);
});

test("gradients pass through views to the tensor that they are views of, in its shape", async () => {
  const x = given([2, 6], 1);
  const dy = given([4, 3], 2);
  const gradients = gradientsOf([x], () => scale(x.reshape(3, 4), 2).reshape(4, 3), dy);
  assert.deepEqual(gradients.get(x)?.shape, [2, 6]);
  assert.deepEqual(await read(gradients, x.reshape(12)), (await dy.read()).map((value) => 2 * value));
});

test("an intermediate result has no gradient afterwards; what leads nowhere is left out", async () => {
  const [x, other, dy] = [tensor([1, 2]), tensor([5, 6]), tensor([1, 1])];
  let middle: Tensor | undefined;
  const gradients = gradientsOf(
    [x, other],
    () => {
      middle = scale(x, 2);
      scale(other, 3);
      return scale(middle, 3);
    },
    dy,
  );
  assert.deepEqual([...(await read(gradients, x))], [6, 6]);
  assert.equal(gradients.get(middle as Tensor), undefined);
  assert.equal(gradients.get(other), undefined);
});

test("backward without a watched tensor, or from an op that gives no gradient, is an error", () => {
  const [x, dy] = [tensor([1, 2]), tensor([1, 1])];
  const thrown = (fn: () => unknown, message: RegExp) => assert.throws(fn, (error) => error instanceof ShapeError && message.test(error.message));
  thrown(() => gradientsOf([], () => scale(x, 2), dy), /no watched tensor leads/);
  thrown(() => gradientsOf([x], () => differentiable(scale(x, 2), { inputs: { x }, saved: {}, backward: () => ({}) }), dy), /no gradient came for x/);
  thrown(() => gradientsOf([x], () => scale(x, 2), tensor([1, 2, 3])), /does not fit/);
});

test("an op without a backward pass refuses tracked tensors instead of losing their gradient", () => {
  const [x, y] = [given([1, 2, 3], 1), given([1, 2, 3], 2)];
  const tape = new Tape(gpu);
  tape.watch([x]);
  for (const op of [() => copyInto(y, x, 0), () => addInto(y, x), () => sumRows(x), () => x.rows(0, 1)]) assert.throws(() => tape.run(op), /has no backward pass/);
  tape.run(() => copyInto(y, given([6], 3), 0));
});

// --- a network of every kind of op -------------------------------------------------------------------------------------

const [vocabulary, batch, tokens, width] = [11, 2, 5, 8];

/** Parameters of the network below. */
function makeParameters() {
  return {
    table: given([vocabulary, width], 1),
    weight: given([width], 2),
    bias: given([width], 3),
    gain: given([2 * width], 4),
    offset: given([2 * width], 5),
    gate: given([batch, tokens, width], 6),
  };
}

type Parameters = ReturnType<typeof makeParameters>;

/** Two blocks over embedded ids, with a residual and a skip connection; `wrap` may checkpoint a block. */
function network(p: Parameters, ids: Tensor, target: Tensor, wrap: typeof checkpoint = (inputs, fn) => fn(inputs)): Tensor {
  return gpu.scope("network", () => {
    const x = embedding(ids, p.table);
    const h = wrap({ x }, (inputs) => {
      const normed = layerNorm(inputs.x, { weight: p.weight, bias: p.bias, eps: 1e-5 });
      return gpu.scope("block", () => add(inputs.x, multiply(silu(normed), p.gate)));
    });
    const y = wrap({ x, h }, (inputs) => gpu.scope("block", () => softmax(groupNorm(inputs.h, { weight: p.gain, bias: p.offset, groups: 4, eps: 1e-5, silu: true, skip: inputs.x }))));
    return mseLoss(concatLast(y, x), target);
  });
}

function makeInputs() {
  return { ids: gpu.tensor(Uint32Array.from({ length: batch * tokens }, (_, i) => (i * 7) % 5), [batch, tokens]), target: given([batch, tokens, 3 * width], 9) };
}

/** Gradients of all parameters on the host. */
async function networkGradients(p: Parameters, wrap?: typeof checkpoint): Promise<Record<string, Float32Array>> {
  const { ids, target } = makeInputs();
  const dloss = tensor([1]);
  const gradients = gradientsOf(Object.values(p), () => network(p, ids, target, wrap), dloss);
  const values: Record<string, Float32Array> = {};
  for (const [name, parameter] of Object.entries(p)) values[name] = await read(gradients, parameter);
  for (const used of [ids, target, dloss]) used.free();
  gradients.free();
  return values;
}

test("the gradients of a network are the slopes of its loss", async () => {
  const p = makeParameters();
  const { ids, target } = makeInputs();
  const gradients = await networkGradients(p);
  const lossAt = async (parameter: Tensor, direction: Float32Array, step: number) => {
    const values = await parameter.read();
    parameter.write(values.map((value, i) => value + step * direction[i]));
    const loss = gpu.scope("test", () => network(p, ids, target));
    const [value] = await loss.read();
    loss.free();
    parameter.write(values);
    return value;
  };
  for (const [i, [name, parameter]] of Object.entries(p).entries()) {
    // Along a random direction, far enough apart for f32 and near enough for a cubic error.
    const direction = randomValues(parameter.size, 20 + i);
    const step = 1e-2;
    const slope = ((await lossAt(parameter, direction, step)) - (await lossAt(parameter, direction, -step))) / (2 * step);
    const expected = gradients[name].reduce((sum, value, k) => sum + value * direction[k], 0);
    assert.ok(Math.abs(slope - expected) < 2e-3 * Math.abs(expected) + 2e-5, `${name}: slope ${slope}, gradient ${expected}`);
  }
});

test("the same pass gives the same bits", async () => {
  const p = makeParameters();
  assert.deepEqual(await networkGradients(p), await networkGradients(p));
});

test("checkpoints, and checkpoints within checkpoints, give the same bits as none", async () => {
  const p = makeParameters();
  const plain = await networkGradients(p);
  assert.deepEqual(await networkGradients(p, checkpoint), plain);
  assert.deepEqual(await networkGradients(p, (inputs, fn) => checkpoint(inputs, (outer) => checkpoint(outer, fn))), plain);
});

test("a checkpoint keeps its inputs only", () => {
  const p = makeParameters();
  const { ids, target } = makeInputs();
  const keptBy = (wrap?: typeof checkpoint) => {
    const tape = new Tape(gpu);
    tape.watch(Object.values(p));
    const before = gpu.memory().live;
    const loss = tape.run(() => network(p, ids, target, wrap));
    const kept = gpu.memory().live - before;
    tape.free();
    loss.free();
    assert.equal(gpu.memory().live, before);
    return kept;
  };
  assert.ok(keptBy(checkpoint) < 0.75 * keptBy(), `${keptBy(checkpoint)} bytes with checkpoints, ${keptBy()} without`);
});

test("a checkpoint whose inputs and parameters are frozen leaves no trace", () => {
  const p = makeParameters();
  const tape = new Tape(gpu);
  tape.watch([p.gate]);
  const x = given([2, 4], 1);
  tape.run(() => checkpoint({ x }, (inputs) => scale(inputs.x, 2)));
  assert.equal(tape.entries.length, 0);
});

test("frozen parameters have no gradient and cost no dispatch", async () => {
  const p = makeParameters();
  const { ids, target } = makeInputs();
  const dloss = tensor([1]);
  const dispatches = (watched: Tensor[]) => {
    const step = gpu.record("step", () => {
      const tape = new Tape(gpu);
      tape.watch(watched);
      const loss = tape.run(() => network(p, ids, target));
      if (watched.length > 0) backward(tape, loss, dloss).free();
    });
    step.free();
    return step.dispatches;
  };
  const forward = dispatches([]);
  const [all, one] = [dispatches(Object.values(p)), dispatches([p.gate])];
  assert.ok(forward < one && one < all, `${forward} < ${one} < ${all}`);
  const gradients = gradientsOf([p.gate], () => network(p, ids, target), dloss);
  for (const [name, parameter] of Object.entries(p)) assert.equal(gradients.get(parameter) !== undefined, name === "gate", name);
  assert.deepEqual(await read(gradients, p.gate), (await networkGradients(p)).gate);
});

test("gradients add up over two batches, in the tensors that were given", async () => {
  const p = makeParameters();
  const once = await networkGradients(p);
  const { ids, target } = makeInputs();
  const sums = new Gradients();
  for (const parameter of Object.values(p)) sums.add(parameter, zeros(gpu, parameter.shape));
  const places = Object.values(p).map((parameter) => sums.get(parameter)?.buffer);
  for (let i = 0; i < 2; i++) gradientsOf(Object.values(p), () => network(p, ids, target), tensor([1]), sums);
  for (const [i, [name, parameter]] of Object.entries(p).entries()) {
    assert.equal(sums.get(parameter)?.buffer, places[i]);
    assert.deepEqual(await read(sums, parameter), once[name].map((value) => value + value), name);
  }
});

test("nothing is left alive after a pass, nor after one that failed", async () => {
  const p = makeParameters();
  for (const wrap of [undefined, checkpoint]) {
    await networkGradients(p, wrap);
    const before = gpu.memory().live;
    await networkGradients(p, wrap);
    assert.equal(gpu.memory().live, before);
  }
  const dy = tensor([1, 1]);
  const before = gpu.memory().live;
  const x = tensor([1, 2]);
  const failing = () => scale(differentiable(scale(x, 2), { inputs: { x }, saved: { x }, backward: () => ({}) }), 2);
  assert.throws(() => gradientsOf([x], failing, dy), ShapeError);
  x.free();
  assert.equal(gpu.memory().live, before);
});

// --- a whole step, recorded --------------------------------------------------------------------------------------------

/** Parameters with what AdamW keeps of them, and the gradients of a step. */
function makeTraining() {
  const p = makeParameters();
  const gradients = new Gradients();
  const moments = Object.values(p).map((weight) => {
    gradients.add(weight, zeros(gpu, weight.shape));
    return { weight, mean: zeros(gpu, weight.shape), square: zeros(gpu, weight.shape) };
  });
  return { p, gradients, moments, state: optimizerState(gpu, { lossScale: 64 }), rates: tensor([0, 0]), ...makeInputs() };
}

/** Forward, backward and AdamW; gives the loss. */
function trainingStep({ p, gradients, moments, state, rates, ids, target }: ReturnType<typeof makeTraining>): Tensor {
  const betas = [0.9, 0.999] as const;
  const sums = moments.map(({ weight }) => gradients.get(weight) as Tensor);
  for (const sum of sums) fill(sum, 0);
  const tape = new Tape(gpu);
  tape.watch(Object.values(p));
  const loss = tape.run(() => network(p, ids, target, checkpoint));
  backward(tape, loss, lossGradient(state), gradients);
  startStep(state, sums, { betas, maxNorm: 1 });
  for (const [i, tensors] of moments.entries()) adamW({ ...tensors, gradient: sums[i] }, { state, rates, betas, eps: 1e-8, weightDecay: 1e-2 });
  return loss;
}

test("forward, backward and AdamW, recorded once and replayed, give the bits of the same steps one by one", async () => {
  const rates = [1e-2, 2e-2, 1e-2, 5e-3, 5e-3];
  const eager = makeTraining();
  const eagerLosses: number[] = [];
  for (const rate of rates) {
    eager.rates.write(Float32Array.of(rate, 0));
    const loss = gpu.scope("train", () => trainingStep(eager));
    eagerLosses.push((await loss.read())[0]);
    loss.free();
  }
  const recorded = makeTraining();
  const step = gpu.record("train", () => trainingStep(recorded));
  const before = gpu.memory().live;
  const losses: number[] = [];
  for (const rate of rates) {
    recorded.rates.write(Float32Array.of(rate, 0));
    step.replay();
    losses.push((await step.result.read())[0]);
  }
  assert.equal(gpu.memory().live, before);
  step.free();
  assert.deepEqual(losses, eagerLosses);
  assert.ok(losses[4] < losses[0], `loss ${losses}`);
  for (const name of Object.keys(eager.p) as (keyof Parameters)[]) assert.deepEqual(await recorded.p[name].read(), await eager.p[name].read(), name);
  assert.deepEqual(await recorded.state.read(), await eager.state.read());
});
