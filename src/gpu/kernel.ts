import type { Dtype } from "../tensor.ts";
import type { VariantChoice } from "./variant_choices.ts";

/** One WGSL source file as embedded by build.mjs. */
export interface SourcePart {
  /** Path within kernels/, such as `lib/fold.wgsl`. */
  readonly file: string;
  /** WGSL without what it includes: that is a part of its own. */
  readonly source: string;
}

/** A storage binding of a kernel. `element` is a WGSL scalar or an alias (`T`, `W`) that the prelude resolves. */
export interface KernelBinding {
  /** Of the WGSL variable, and the key in a dispatch's `bindings`. */
  readonly name: string;
  /** Number within bind group 0; 0 is that of the params. */
  readonly index: number;
  /** Of the storage variable: "read" for inputs. */
  readonly access: "read" | "read_write";
  /** Such as `f32`, `u32` or `T`. */
  readonly element: string;
}

/** A member of a kernel's `Params` struct: byte offset and component count. */
export interface KernelParam {
  /** Of the member, and the key in a dispatch's `params`. */
  readonly name: string;
  /** Type of each component, 4 bytes. */
  readonly scalar: "u32" | "i32" | "f32";
  /** Components: 1 of a scalar, 2 to 4 of a vector. */
  readonly length: number;
  /** Bytes from the start of the struct, by WGSL's layout of uniforms. */
  readonly offset: number;
}

/**
 * A kernel's interface as build.mjs read it from its WGSL file.
 * B: names of its storage bindings. P: its params. O: names of its overrides. L: what its prelude must define.
 */
export interface Kernel<B extends string, P, O extends string, L> {
  /** Path of its file within kernels/ without the ending, such as `norm/layer_norm_subgroup`. */
  readonly name: string;
  /** The fragments that it includes, each once and before what needs it; its own file last. */
  readonly parts: readonly SourcePart[];
  /** WGSL extensions that its files ask for, such as `subgroups`. f16 follows from the prelude instead. */
  readonly enables: readonly string[];
  /** Storage bindings, all in bind group 0. */
  readonly bindings: readonly KernelBinding[];
  /** Members of its `Params` struct; none where it has no such struct. */
  readonly params: readonly KernelParam[];
  /** Size of the struct; 0 where it has none. */
  readonly paramsBytes: number;
  /** Element types that the prelude must name, such as `T`: "f32" or "f16". */
  readonly aliases: readonly string[];
  /** Sizes that the prelude must give as numbers, such as `D`. */
  readonly consts: readonly string[];
  /** Type-level only: never set. */
  readonly types?: {
    /** Names of its storage bindings. */
    bindings: B;
    /** Values of its params by member. */
    params: P;
    /** Names of its overrides. */
    overrides: O;
    /** What its prelude must define. */
    prelude: L;
  };
}

/** Any kernel, where its interface does not matter. */
export type AnyKernel = Kernel<string, object, string, object>;

/** A buffer range given to a binding: a tensor, or anything that looks like one. */
export interface BindingSource {
  /** Must be what the kernel's binding takes, else the dispatch throws ShapeError. */
  readonly dtype: Dtype;
  /** The whole buffer that the range lies in. */
  readonly buffer: {
    /** Never reused: bind groups are cached by it. */
    readonly id: number;
    /** With the usage STORAGE. */
    readonly gpuBuffer: GPUBuffer;
  };
  /** Where the range starts in the buffer: a multiple of 256. */
  readonly byteOffset: number;
  /** A multiple of 4, at most the device's `maxBindingBytes`, else the dispatch throws UnsupportedError. */
  readonly byteLength: number;
}

/** What one dispatch needs besides its kernel. */
export interface Dispatch<B extends string, P, O extends string, L> {
  /** One buffer a binding; `undefined` binds a small dummy, for inputs that an override switches off. */
  readonly bindings: { readonly [name in B]: BindingSource | undefined };
  /** Values of the kernel's `Params` struct by member; vectors as arrays of numbers. */
  readonly params: P;
  /** Pipeline constants; the WGSL file's own defaults where absent. */
  readonly overrides?: { readonly [name in O]?: number | boolean };
  /** Element types and register-array sizes: the prelude. */
  readonly prelude: L;
  /** Workgroups: a count (folded over x and y past the device's limit) or x, y, z. */
  readonly grid: number | readonly [number, number, number];
  /** Floating-point operations, which profile, bench and submission sizing count with. Default 0. */
  readonly flops?: number;
  /** Bytes that are read and written at least, counted with likewise. Default 0. */
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
