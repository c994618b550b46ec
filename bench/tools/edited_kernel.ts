import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseKernel, withoutEnables } from "../../scripts/wgsl.mjs";
import { InputError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { AnyKernel, SourcePart } from "../../src/gpu/kernel.ts";

/** Reads a kernel and its fragments as they stand on the disk now, in place of those that were built in. @throws InputError */
export function readKernel(kernelsFolder: string, builtIn: AnyKernel): AnyKernel {
  const read = (file: string) => readFileSync(join(kernelsFolder, file), "utf8");
  const file = `${builtIn.name}.wgsl`;
  let parsed: ReturnType<typeof parseKernel>;
  try {
    parsed = parseKernel(file, read(file), read);
  } catch (cause) {
    throw new InputError(file, (cause as Error).message, { cause });
  }
  const { params, bindings, aliases, consts, enables } = parsed;
  const face = (kernel: Pick<AnyKernel, "bindings" | "params" | "aliases" | "consts">) => JSON.stringify([kernel.bindings, kernel.params, kernel.aliases, kernel.consts]);
  if (face({ bindings: bindings as AnyKernel["bindings"], params: params.fields as AnyKernel["params"], aliases, consts }) !== face(builtIn)) {
    throw new InputError(file, "its bindings, params or prelude are no longer those that its op gives; run node build.mjs --generate-only, change the op, and start again");
  }
  const parts = (parsed.parts as SourcePart[]).map(({ file: name, source }) => ({ file: name, source: withoutEnables(source) }));
  return { ...builtIn, parts, enables };
}

/** Dispatches of one kernel on a device. */
export interface KernelHook {
  /** The kernel as it was built in, once it was dispatched. */
  readonly builtIn: AnyKernel | undefined;
  /** Prelude of its last dispatch. */
  readonly prelude: object;
  /** Whether `work`, planned without running, dispatches it. */
  isUsedBy(work: () => unknown): boolean;
  /** From now on this source runs in its place; undefined: its own. */
  substitute(kernel: AnyKernel | undefined): void;
}

/** Watches the dispatches of the kernel of a name, and can put another source in its place. */
export function hookKernel(gpu: Gpu, name: string): KernelHook {
  const run = gpu.run.bind(gpu) as (kernel: AnyKernel, dispatch: { prelude: object }) => void;
  let substitute: AnyKernel | undefined;
  let builtIn: AnyKernel | undefined;
  let prelude: object = {};
  let used = false;
  gpu.run = ((kernel: AnyKernel, dispatch: { prelude: object }) => {
    if (kernel.name === name) {
      used = true;
      builtIn = kernel;
      prelude = dispatch.prelude;
    }
    run(kernel.name === name && substitute ? substitute : kernel, dispatch);
  }) as Gpu["run"];
  return {
    get builtIn() {
      return builtIn;
    },
    get prelude() {
      return prelude;
    },
    isUsedBy(work) {
      used = false;
      gpu.plan(() => void work());
      return used;
    },
    substitute: (kernel) => void (substitute = kernel),
  };
}
