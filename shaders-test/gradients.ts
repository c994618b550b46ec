import assert from "node:assert/strict";
import { backward } from "../src/autograd.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { Tape } from "../src/tape.ts";
import type { Tensor } from "../src/tensor.ts";

/** Runs `op` on a tape and gives the gradients of the `watched` tensors, where the gradient of its result is `dy`. */
export async function tapeGradients(gpu: Gpu, watched: readonly Tensor[], op: () => Tensor, dy: Tensor): Promise<Float32Array[]> {
  const tape = new Tape(gpu);
  tape.watch(watched);
  const gradients = gpu.scope("test", () => backward(tape, tape.run(op), dy));
  const values: Float32Array[] = [];
  for (const tensor of watched) {
    const gradient = gradients.get(tensor);
    assert.ok(gradient, "a gradient is missing");
    assert.deepEqual(gradient.shape, tensor.shape);
    values.push(await gradient.read());
  }
  gradients.free();
  return values;
}

/**
 * Checks the gradient of sum(dy * f(x)) at x against central differences of f, all in f64: that a reference's backward
 * pass belongs to its forward pass.
 */
export function assertDerivative(f: (x: Float64Array) => ArrayLike<number>, x: ArrayLike<number>, dy: ArrayLike<number>, gradient: ArrayLike<number>, what: string): void {
  assert.equal(gradient.length, x.length, what);
  const at = Float64Array.from(x);
  const loss = () => {
    const y = f(at);
    assert.equal(y.length, dy.length, what);
    return dot(y, dy);
  };
  const step = 1e-5;
  const differences = at.map((value, i) => {
    at[i] = value + step;
    const above = loss();
    at[i] = value - step;
    const below = loss();
    at[i] = value;
    return (above - below) / (2 * step);
  });
  const largest = differences.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < at.length; i++) {
    const error = Math.abs(gradient[i] - differences[i]);
    if (!(error <= 1e-6 * largest + 1e-9)) assert.fail(`${what}: derivative ${i} is ${gradient[i]}, central difference ${differences[i]}`);
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
