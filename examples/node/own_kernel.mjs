// A kernel of one's own beside the library's: y = x |x|. Type: node own_kernel.mjs
import { openGpu } from "attnscope";

const source = /* wgsl */ `
struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.count) {
    y[id.x] = x[id.x] * abs(x[id.x]);
  }
}`;

/** What the host must know of it; for its own kernels the library's build reads this from their WGSL. */
const signedSquare = {
  name: "own/signed_square",
  parts: [{ file: "signed_square.wgsl", source }],
  bindings: [
    { name: "x", index: 1, access: "read", element: "f32" },
    { name: "y", index: 2, access: "read_write", element: "f32" },
  ],
  params: [{ name: "count", scalar: "u32", length: 1, offset: 0 }],
  paramsBytes: 16,
  enables: [], aliases: [], consts: [],
};

const gpu = await openGpu();
const x = gpu.tensor(Float32Array.of(-3, -0.5, 0, 0.5, 3), [5]);
const y = gpu.empty(x.shape);
gpu.run(signedSquare, { bindings: { x, y }, params: { count: x.size }, prelude: {}, grid: Math.ceil(x.size / 64), flops: 2 * x.size });
console.log(JSON.stringify([...(await y.read())]));
gpu.close();
