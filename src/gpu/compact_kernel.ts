import type { AnyKernel, KernelBinding, KernelParam, SourcePart } from "./kernel.ts";

/**
 * A kernel as the browser bundle writes it: its lists as words, in the order of the fields that they stand for.
 * @param bindings four words each: name, index, access, element
 * @param params four words each: name, scalar, length, offset
 * @param fragments what the kernel's own source is preceded by
 */
export function compactKernel(
  name: string, fragments: readonly SourcePart[], source: string, bindings: string, params: string, paramsBytes: number, enables = "", aliases = "", consts = "",
): AnyKernel {
  return {
    name,
    parts: [...fragments, { file: `${name}.wgsl`, source }],
    bindings: fours(bindings).map(([name, index, access, element]): KernelBinding => ({ name, index: Number(index), access: access as KernelBinding["access"], element })),
    params: fours(params).map(([name, scalar, length, offset]): KernelParam => ({ name, scalar: scalar as KernelParam["scalar"], length: Number(length), offset: Number(offset) })),
    paramsBytes,
    enables: words(enables),
    aliases: words(aliases),
    consts: words(consts),
  };
}

function words(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}

function fours(text: string): string[][] {
  const all = words(text);
  return Array.from({ length: all.length / 4 }, (_, i) => all.slice(4 * i, 4 * i + 4));
}
