import { CompileError } from "../errors.ts";
import { type AnyKernel, assembleSource } from "./kernel.ts";
import { computeStage } from "./usage.ts";

/** A compiled kernel and the layout that its bind groups follow. */
export interface CompiledKernel {
  readonly id: number;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Its final WGSL. */
  readonly code: string;
}

/** Compiles kernels and caches pipelines by their final source and constants. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #compiled = new Map<string, CompiledKernel>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pending: (failure: Promise<Error | undefined>) => void;
  #nextId = 1;

  /** `pending` is told of every compilation; its promise gives the CompileError, if any. */
  constructor(device: GPUDevice, pending: (failure: Promise<Error | undefined>) => void) {
    this.#device = device;
    this.#pending = pending;
  }

  /** Pipelines compiled so far. */
  get count(): number {
    return this.#compiled.size;
  }

  get(kernel: AnyKernel, prelude: object, overrides: Record<string, number | boolean | undefined>): CompiledKernel {
    const { code, starts } = assembleSource(kernel, prelude);
    const constants = Object.fromEntries(
      Object.entries(overrides)
        .filter(([, value]) => value !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => [name, Number(value)]),
    );
    const key = `${code}\n${JSON.stringify(constants)}`;
    let compiled = this.#compiled.get(key);
    if (!compiled) {
      compiled = this.#compile(kernel, code, starts, constants);
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  #compile(kernel: AnyKernel, code: string, starts: { file: string; line: number }[], constants: Record<string, number>): CompiledKernel {
    const device = this.#device;
    const layout = this.#layoutOf(kernel);
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code, label: kernel.name });
    const pipeline = device.createComputePipeline({
      label: kernel.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main", constants },
    });
    this.#pending(
      device.popErrorScope().then(async (error) => {
        if (!error) return undefined;
        const info = await module.getCompilationInfo();
        const first = info.messages.find((message) => message.type === "error");
        if (!first) return new CompileError(`kernels/${kernel.name}.wgsl: ${error.message}`, { cause: error });
        return new CompileError(`${locate(starts, first.lineNum, kernel.name)}: ${first.message}`, { cause: error });
      }),
    );
    return { id: this.#nextId++, pipeline, layout, code };
  }

  #layoutOf(kernel: AnyKernel): GPUBindGroupLayout {
    const key = `${kernel.paramsBytes > 0}${kernel.bindings.map((binding) => `${binding.index}${binding.access}`).join()}`;
    let layout = this.#layouts.get(key);
    if (!layout) {
      const entries: GPUBindGroupLayoutEntry[] = kernel.bindings.map((binding) => ({
        binding: binding.index,
        visibility: computeStage,
        buffer: { type: binding.access === "read" ? "read-only-storage" : "storage" },
      }));
      if (kernel.paramsBytes > 0) entries.push({ binding: 0, visibility: computeStage, buffer: { type: "uniform", hasDynamicOffset: true } });
      layout = this.#device.createBindGroupLayout({ entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

/** `kernels/file.wgsl:line` of a line of the assembled source. */
function locate(starts: { file: string; line: number }[], line: number, name: string): string {
  const part = starts.findLast((start) => start.line <= line);
  return part ? `kernels/${part.file}:${line - part.line + 1}` : `kernels/${name}.wgsl: line ${line} of its prelude`;
}
