import assert from "node:assert/strict";
import { test } from "node:test";
import { readKernels } from "../scripts/kernels.mjs";
import { compactWords } from "../scripts/wgsl.mjs";
import { compactKernel } from "../src/gpu/compact_kernel.ts";

test("the browser's kernels have the bindings and the layout of params of their WGSL", () => {
  for (const kernel of readKernels()) {
    const compact = compactKernel(kernel.name, [], "", ...compactWords(kernel));
    assert.deepEqual(compact.bindings, kernel.bindings, kernel.name);
    assert.deepEqual(compact.params, kernel.params.fields, kernel.name);
    assert.equal(compact.paramsBytes, kernel.params.bytes, kernel.name);
  }
});
