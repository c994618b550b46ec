import {
  activation as activationKernel,
  activationBackward as activationBackwardKernel,
  geluGateBackward as geluGateBackwardScalar,
  geluGateBackwardVec4,
  geluGate as geluGateScalar,
  geluGateVec4,
} from "../generated/kernels.ts";
import { activeTape, differentiable } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";
import { elementGrid } from "./grid.ts";

/** Activations that a linear layer or a convolution can end with. */
export type Activation = "gelu" | "gelu_tanh" | "quick_gelu" | "silu" | "relu";

/** The numbers of the activations in kernels/lib/activations.wgsl. */
const activationCodes = { none: 0, gelu: 1, gelu_tanh: 2, quick_gelu: 3, silu: 4, relu: 5 } as const;

/** The override ACTIVATION of a kernel. */
export function activationCode(activation: Activation | undefined): number {
  return activationCodes[activation ?? "none"];
}

/**
 * Whether a layer with these inputs leaves its activation to a kernel of its own: where a tape follows one of them, since
 * the slope needs the pre-activation. Keeping that costs a tensor of the output's size; to compute it anew in the backward
 * pass would cost a third product beside the two of the gradients, and a checkpoint does so where memory is short. The
 * answer is the same in both passes of a checkpoint, and so are the bits.
 */
export function leavesActivation(...inputs: (Tensor | undefined)[]): boolean {
  return inputs.some((input) => input !== undefined && (activeTape(input.gpu)?.tracks(input) ?? false));
}

/** activation(x) + residual, element by element. Same shapes and dtypes. */
export function activate(x: Tensor, activation: Activation, residual?: Tensor): Tensor {
  if (residual) checkShape("activate", "residual", residual, x.shape);
  const y = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(activationKernel, {
    bindings: { x, residual, y },
    params: { count: x.size },
    overrides: { ACTIVATION: activationCode(activation), HAS_RESIDUAL: residual !== undefined },
    prelude: { T: floatOf("activate", x) },
    grid: elementGrid(x.gpu, x.size),
    flops: 8 * x.size,
    bytes: bytesOf(x, residual, y),
  });
  return differentiable(y, {
    inputs: { x, residual },
    saved: { x },
    backward: (dy, saved, wants) => ({
      x: wants.x ? activationBackward(dy, saved.x, activation) : undefined,
      residual: wants.residual ? dy.reshape(...dy.shape) : undefined,
    }),
  });
}

/** Gradient of an activation at x: dy * activation'(x). dy and the result have x's shape and dtype. */
export function activationBackward(dy: Tensor, x: Tensor, activation: Activation): Tensor {
  checkShape("activationBackward", "dy", dy, x.shape);
  const dx = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(activationBackwardKernel, {
    bindings: { x, dy, dx },
    params: { count: x.size },
    overrides: { ACTIVATION: activationCode(activation) },
    prelude: { T: floatOf("activationBackward", x) },
    grid: elementGrid(x.gpu, x.size),
    flops: 12 * x.size,
    bytes: bytesOf(x, dy, dx),
  });
  return dx;
}

/** How a gate goes over its elements [..., N]: by quads where these leave no rest of a row. */
function gatePlan(y: Tensor, N: number): { vec4: boolean; params: { count: number; N: number }; grid: number } {
  const width = N % 4 === 0 ? 4 : 1;
  const count = y.size / width;
  return { vec4: width === 4, params: { count, N: N / width }, grid: elementGrid(y.gpu, count) };
}

/** The gate of GEGLU: value * gelu(gate) of x [..., 2N], the columns of the value before those of the gate -> [..., N]. */
export function geluGate(x: Tensor): Tensor {
  const columns = x.shape[x.shape.length - 1];
  check(columns % 2 === 0, "geluGate", `[${x.shape}] has no halves`, x);
  const N = columns / 2;
  const y = x.gpu.empty([...x.shape.slice(0, -1), N], x.dtype);
  const { vec4, ...plan } = gatePlan(y, N);
  x.gpu.run(vec4 ? geluGateVec4 : geluGateScalar, {
    ...plan,
    bindings: { x, y },
    prelude: { T: floatOf("geluGate", x) },
    flops: 9 * y.size,
    bytes: bytesOf(x, y),
  });
  return differentiable(y, { inputs: { x }, saved: { x }, backward: (dy, saved) => ({ x: geluGateBackward(dy, saved.x) }) });
}

/** Gradient of `geluGate` at x [..., 2N], in its dtype. dy [..., N]. */
export function geluGateBackward(dy: Tensor, x: Tensor): Tensor {
  const N = x.shape[x.shape.length - 1] / 2;
  checkShape("geluGateBackward", "dy", dy, [...x.shape.slice(0, -1), N]);
  const dx = x.gpu.empty(x.shape, x.dtype);
  const { vec4, ...plan } = gatePlan(dy, N);
  x.gpu.run(vec4 ? geluGateBackwardVec4 : geluGateBackwardScalar, {
    ...plan,
    bindings: { x, dy, dx },
    prelude: { T: floatOf("geluGateBackward", x) },
    flops: 22 * dy.size,
    bytes: bytesOf(x, dy, dx),
  });
  return dx;
}
