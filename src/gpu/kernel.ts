import type { Dtype } from "../tensor.ts";
import type { VariantChoice } from "./variant_choices.ts";

/** One WGSL source file as embedded by build.mjs. */
export interface SourcePart {
  readonly file: string;
  readonly source: string;
}

/** A storage binding of a kernel. `element` is a WGSL scalar or an alias (`T`, `W`) that the prelude resolves. */
export interface KernelBinding {
  readonly name: string;
  readonly index: number;
  readonly access: "read" | "read_write";
  readonly element: string;
}

/** A member of a kernel's `Params` struct: byte offset and component count. */
export interface KernelParam {
  readonly name: string;
  readonly scalar: "u32" | "i32" | "f32";
  readonly length: number;
  readonly offset: number;
}

/**
 * A kernel's interface as build.mjs read it from its WGSL file.
 * B: names of its storage bindings. P: its params. O: names of its overrides. L: what its prelude must define.
 */
export interface Kernel<B extends string, P, O extends string, L> {
  readonly name: string;
  readonly parts: readonly SourcePart[];
  readonly enables: readonly string[];
  readonly bindings: readonly KernelBinding[];
  readonly params: readonly KernelParam[];
  readonly paramsBytes: number;
  readonly aliases: readonly string[];
  readonly consts: readonly string[];
  /** Type-level only: never set. */
  readonly types?: { bindings: B; params: P; overrides: O; prelude: L };
}

/** Any kernel, where its interface does not matter. */
export type AnyKernel = Kernel<string, object, string, object>;

/** A buffer range given to a binding: a tensor, or anything that looks like one. */
export interface BindingSource {
  readonly dtype: Dtype;
  readonly buffer: { readonly id: number; readonly gpuBuffer: GPUBuffer };
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What one dispatch needs besides its kernel. */
export interface Dispatch<B extends string, P, O extends string, L> {
  /** One buffer a binding; `undefined` binds a small dummy, for inputs that an override switches off. */
  readonly bindings: { readonly [name in B]: BindingSource | undefined };
  readonly params: P;
  readonly overrides?: { readonly [name in O]?: number | boolean };
  /** Element types and register-array sizes: the prelude. */
  readonly prelude: L;
  /** Workgroups: a count (folded over x and y past the device's limit) or x, y, z. */
  readonly grid: number | readonly [number, number, number];
  /** Floating-point operations and bytes moved: what profile, bench and submission sizing count with. */
  readonly flops?: number;
  readonly bytes?: number;
  /** What was chosen between kernels, for profiles. */
  readonly choice?: VariantChoice;
}

/** Final WGSL of a kernel: enables, prelude, fragments, kernel; with the line at which each file starts. */
export function assembleSource(kernel: AnyKernel, prelude: object): { code: string; starts: { file: string; line: number }[] } {
  const values = prelude as Record<string, string | number>;
  const enables = new Set(kernel.enables);
  if (kernel.aliases.some((alias) => values[alias] === "f16")) enables.add("f16");
  const head = [
    ...[...enables].map((name) => `enable ${name};`),
    ...kernel.aliases.flatMap((alias) => [`alias ${alias} = ${values[alias]};`, `alias ${alias}4 = vec4<${values[alias]}>;`]),
    ...kernel.consts.map((name) => `const ${name} = ${values[name]}u;`),
  ];
  let line = head.length + 1;
  const starts = kernel.parts.map((part) => {
    const start = { file: part.file, line };
    line += part.source.split("\n").length;
    return start;
  });
  return { code: [...head, ...kernel.parts.map((part) => part.source)].join("\n"), starts };
}

/** Packs params by the offsets that build.mjs computed from the WGSL struct. */
export function packParams(kernel: AnyKernel, params: object, into: DataView, base: number): void {
  for (const field of kernel.params) {
    const value = (params as Record<string, number | readonly number[]>)[field.name];
    const components = typeof value === "number" ? [value] : value;
    for (let i = 0; i < field.length; i++) {
      const offset = base + field.offset + 4 * i;
      if (field.scalar === "f32") into.setFloat32(offset, components[i], true);
      else if (field.scalar === "i32") into.setInt32(offset, components[i], true);
      else into.setUint32(offset, components[i], true);
    }
  }
}

/** Workgroups as x, y, z: a count past `limit` is folded over x and y (the kernel drops the surplus). */
export function foldGrid(grid: number | readonly [number, number, number], limit: number): readonly [number, number, number] {
  if (typeof grid !== "number") return grid;
  if (grid <= limit) return [grid, 1, 1];
  const rows = Math.ceil(grid / limit);
  return [Math.ceil(grid / rows), rows, 1];
}
