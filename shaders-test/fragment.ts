import { readFileSync } from "node:fs";
import { parseKernel } from "../scripts/wgsl.mjs";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { AnyKernel } from "../src/gpu/kernel.ts";
import type { Tensor } from "../src/tensor.ts";

/**
 * Runs functions of kernels/lib alone. `source` includes them and defines `fn call(i: u32)`, which reads `input` and
 * writes `output`, both arrays of u32; it is called once for every i below `count`. Gives the raw `output`.
 */
export async function callFragment(gpu: Gpu, source: string, input: Uint32Array, count: number, outputs: number): Promise<Uint32Array> {
  const text = `${source}
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>) {
  call(workgroup.x);
}`;
  const { parts, bindings } = parseKernel("test.wgsl", text, (name: string) => readFileSync(new URL(`../kernels/${name}`, import.meta.url), "utf8"));
  const kernel = { name: "test", parts, enables: [], bindings, params: [], paramsBytes: 0, aliases: [], consts: [] } as AnyKernel;
  const output = gpu.scope("test", () => {
    const output: Tensor = gpu.empty([outputs], "u32");
    gpu.run(kernel, { bindings: { input: gpu.tensor(input, [input.length]), output }, params: {}, prelude: {}, grid: count });
    return output;
  });
  const raw = new Uint32Array(await gpu.readRaw(output), 0, outputs);
  output.free();
  return raw;
}
