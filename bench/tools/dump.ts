import { create } from "webgpu";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { assembleSource } from "../../src/gpu/kernel.ts";
import { openGpuOn } from "../../src/gpu/open.ts";
import { InputError } from "../../src/errors.ts";
import type { MakeCases } from "../harness.ts";
import { hookKernel } from "./edited_kernel.ts";

// Dawn crashes when the object that create() returned is collected while a device still works: it is kept for ever.
let dawn: GPU | undefined;

/** A device that prints what Dawn makes of each shader that it compiles: SPIR-V on Vulkan. */
async function openDumpingGpu(): Promise<Gpu> {
  dawn ??= create(["enable-dawn-features=dump_shaders,disable_symbol_renaming"]);
  return openGpuOn(dawn, {}, "run `npx attnscope doctor`: it says what to install");
}

/** Prints the final WGSL of a kernel's first case and, where Dawn tells it, what the driver is given. Nothing runs. */
export async function dumpKernel(kernel: string, families: readonly MakeCases[], print: (line: string) => void): Promise<void> {
  const gpu = await openDumpingGpu();
  try {
    const hook = hookKernel(gpu, kernel);
    for (const makeCases of families) {
      const found = makeCases(gpu).find(({ run }) => hook.isUsedBy(run));
      if (!found || !hook.builtIn) continue;
      print(`// ${kernel} in ${found.name}, ${found.variant}\n${assembleSource(hook.builtIn, hook.prelude).code}`);
      gpu.record("dump", () => void found.run()).free();
      await gpu.sync();
      return;
    }
    throw new InputError(kernel, "no bench case uses it on this device");
  } finally {
    gpu.close();
  }
}
