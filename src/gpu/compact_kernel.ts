import type { AnyKernel, KernelBinding, KernelParam, SourcePart } from "./kernel.ts";

/**
 * A kernel as the browser bundle writes it: its lists as words, in the order of the fields that they stand for.
 * @param bindings two words each, from binding 1 on: the name, and the element with a + where it is written as well
 * @param params two words each, in the order of the struct, whose layout follows from it: the name, and the scalar with the
 *   length of a vector
 * @param fragments what the kernel's own source is preceded by
 */
export function compactKernel(
  name: string, fragments: readonly SourcePart[], source: string, bindings: string, params: string, enables = "", aliases = "", consts = "",
): AnyKernel {
  const fields = paramsOf(params);
  const last = fields.at(-1);
  return {
    name,
    parts: [...fragments, { file: `${name}.wgsl`, source }],
    bindings: pairs(bindings).map(([name, element], i): KernelBinding => ({ name, index: i + 1, access: element.endsWith("+") ? "read_write" : "read", element: element.replace("+", "") })),
    params: fields,
    paramsBytes: last ? roundUp(last.offset + 4 * last.length, 16) : 0,
    enables: words(enables),
    aliases: words(aliases),
    consts: words(consts),
  };
}

/** Members of a uniform struct at their offsets: a vector of two is aligned to 8 bytes, longer ones to 16. */
function paramsOf(params: string): KernelParam[] {
  let end = 0;
  return pairs(params).map(([name, type]) => {
    const [scalar, length] = [type.slice(0, 3) as KernelParam["scalar"], Number(type[3] ?? 1)];
    const offset = roundUp(end, length > 2 ? 16 : 4 * length);
    end = offset + 4 * length;
    return { name, scalar, length, offset };
  });
}

function roundUp(bytes: number, multiple: number): number {
  return Math.ceil(bytes / multiple) * multiple;
}

function words(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}

function pairs(text: string): [string, string][] {
  const all = words(text);
  return Array.from({ length: all.length / 2 }, (_, i) => [all[2 * i], all[2 * i + 1]]);
}
