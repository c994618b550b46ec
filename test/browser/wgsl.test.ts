import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { create } from "webgpu";
import { minifyWgsl, shortNames } from "../../scripts/wgsl_minify.mjs";
import * as generated from "../../src/generated/kernels.ts";
import { type AnyKernel, assembleSource } from "../../src/gpu/kernel.ts";

const kernels = Object.values(generated) as unknown as AnyKernel[];
const sources = [...new Set(kernels.flatMap(({ parts }) => parts.map(({ source }) => source)))];
const names = shortNames(sources, kernels.flatMap(({ aliases, consts }) => [...aliases, ...aliases.map((alias) => `${alias}4`), ...consts]));

describe("short WGSL", () => {
  // Dawn's Null backend computes nothing, but checks WGSL as every other does. What create() returns must be kept.
  const dawn = create(["backend=null"]);
  let device: GPUDevice;
  before(async () => {
    const adapter = (await dawn.requestAdapter()) as GPUAdapter;
    device = await adapter.requestDevice({ requiredFeatures: ["subgroups", "shader-f16"] });
  });
  after(() => device.destroy());

  for (const type of ["f32", "f16"]) {
    test(`of every kernel compiles for ${type}`, async () => {
      for (const kernel of kernels) {
        const parts = kernel.parts.map(({ file, source }) => ({ file, source: minifyWgsl(source, names) }));
        const prelude = Object.fromEntries([...kernel.aliases.map((alias) => [alias, type]), ...kernel.consts.map((name) => [name, 8])]);
        const { code } = assembleSource({ ...kernel, parts }, prelude);
        const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
        assert.deepEqual(messages.filter((message) => message.type === "error").map(({ message }) => `${kernel.name}: ${message}`), []);
      }
    });
  }

  test("keeps lines, and what the host calls by name", () => {
    for (const source of sources) assert.equal(minifyWgsl(source, names).split("\n").length, source.split("\n").length);
    for (const name of ["main", "WORKGROUP", "HAS_BIAS", "T", "T4"]) assert.ok(!names.has(name), name);
  });

  test("shortens a name everywhere, but not attributes, address spaces, swizzles and built-in functions", () => {
    const source = `
// A comment goes.
struct Pair { first: f32, xy: f32 }
var<workgroup> workgroup: array<f32, 8>;
fn helper(first: f32) -> f32 { return - -first; }
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) local_invocation_index: u32) {
  let dot = vec2f(1.0, 2.0).xy;
  workgroup[local_invocation_index] = dot(dot, dot) + helper(Pair(3.0, 4.0).first);
}`;
    const short = minifyWgsl(source, shortNames([source], []));
    assert.equal(short, `

struct f{c:f32,xy:f32}
var<workgroup>d:array<f32,8>;
fn h(c:f32)->f32{return- -c;}
@compute@workgroup_size(8)
fn main(@builtin(local_invocation_index)e:u32){
let dot=vec2f(1.0,2.0).xy;
d[e]=dot(dot,dot)+h(f(3.0,4.0).c);
}`);
  });
});
