// Training with a loss of one's own: a line through points, by AdamW. Type: node own_loss.mjs
import { Tape, backward, linear, openGpu, zeros } from "attnscope";
import { adamW, lossGradient, mseLoss, optimizerState, startStep } from "attnscope/training";

const gpu = await openGpu();
const points = Array.from({ length: 64 }, (_, i) => i / 32 - 1);
const x = gpu.tensor(Float32Array.from(points), [64, 1]);
const target = gpu.tensor(Float32Array.from(points, (point) => 3 * point - 1), [64, 1]);
const weights = [zeros(gpu, [1, 1]), zeros(gpu, [1])];
const moments = weights.map(({ shape }) => ({ mean: zeros(gpu, shape), square: zeros(gpu, shape) }));
const state = optimizerState(gpu);
const options = { state, rates: gpu.tensor(Float32Array.of(0.1, 0), [2]), betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 };

// Recorded once, replayed every step: nothing is compiled, allocated or read back in between.
const step = gpu.record("step", () => {
  const tape = new Tape(gpu);
  tape.watch(weights);
  const [weight, bias] = weights;
  const loss = tape.run(() => mseLoss(linear(x, { weight, bias }), target));
  const gradients = backward(tape, loss, lossGradient(state));
  startStep(state, weights.map((parameter) => gradients.get(parameter)), options);
  for (const [i, parameter] of weights.entries()) adamW({ weight: parameter, gradient: gradients.get(parameter), ...moments[i] }, options);
  return loss;
});
for (let i = 0; i < 200; i++) step.replay();

const [slope, offset, loss] = await Promise.all([...weights, step.result].map(async (tensor) => (await tensor.read())[0]));
console.log(JSON.stringify({ slope, offset, loss }));
gpu.close();
