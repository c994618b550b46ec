// Reads a WGSL kernel far enough to type its interface: bindings, params, overrides and prelude.
//
// A kernel file may hold these directives, one a line:
//   //! include lib/name.wgsl     the fragment's text is placed before the kernel
//   //! alias T                   an element type chosen at run time (f32 or f16); T4 is its vec4
//   //! const NAME                a number chosen at run time that `override` cannot express (array sizes in registers)
// Conventions: `params` is a uniform of `struct Params` at binding 0; all bindings are in group 0.

const scalarBytes = { u32: 4, i32: 4, f32: 4 };
const vector = /^vec([234])(?:<(u32|i32|f32)>|([uif]))$/;
const suffix = { u: "u32", i: "i32", f: "f32" };

/** Size, alignment and component count of a type that may stand in `Params`. */
function layoutOf(type, where) {
  if (scalarBytes[type]) return { size: 4, align: 4, length: 1, scalar: type };
  const match = vector.exec(type);
  if (match) {
    const length = Number(match[1]);
    return { size: 4 * length, align: length === 2 ? 8 : 16, length, scalar: match[2] ?? suffix[match[3]] };
  }
  throw new Error(`${where}: a params member of type ${type} is not supported`);
}

const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");

function parseParams(code, where) {
  const body = /struct\s+Params\s*\{([\s\S]*?)\}/.exec(code)?.[1];
  if (body === undefined) return { fields: [], bytes: 0 };
  let offset = 0;
  const fields = body
    .split(/,(?![^<]*>)/)
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => {
      const [name, type] = line.split(":").map((part) => part.trim());
      const layout = layoutOf(type, where);
      offset = Math.ceil(offset / layout.align) * layout.align;
      const field = { name, scalar: layout.scalar, length: layout.length, offset };
      offset += layout.size;
      return field;
    });
  return { fields, bytes: Math.ceil(offset / 16) * 16 };
}

function parseBindings(code, where) {
  const pattern = /@group\((\d+)\)\s*@binding\((\d+)\)\s*var<([^>]*)>\s*(\w+)\s*:\s*([^;]+);/g;
  const bindings = [];
  for (const [, group, index, space, name, type] of code.matchAll(pattern)) {
    if (group !== "0") throw new Error(`${where}: binding ${name} is in group ${group}; all bindings are in group 0`);
    if (space.trim() === "uniform") {
      if (name !== "params" || index !== "0") throw new Error(`${where}: the only uniform is params at binding 0`);
      continue;
    }
    const access = space.includes("read_write") ? "read_write" : "read";
    const element = /^array<\s*(?:vec[234]<)?\s*(?:atomic<)?(\w+)/.exec(type.trim())?.[1];
    if (!element) throw new Error(`${where}: binding ${name} is not a runtime-sized array`);
    bindings.push({ name, index: Number(index), access, element: element.replace(/^(T|W)4$/, "$1") });
  }
  return bindings.sort((a, b) => a.index - b.index);
}

function directives(source, kind) {
  return [...source.matchAll(new RegExp(`^//!\\s*${kind}\\s+(\\S+)\\s*$`, "gm"))].map((match) => match[1]);
}

function collectFragments(source, readFragment, seen = new Map()) {
  for (const name of directives(source, "include")) {
    if (seen.has(name)) continue;
    const text = readFragment(name);
    collectFragments(text, readFragment, seen);
    seen.set(name, text);
  }
  return seen;
}

/** The typed description of one kernel file, `readFragment(name)` giving the text of an included fragment. */
export function parseKernel(file, source, readFragment) {
  const where = `kernels/${file}`;
  const fragments = [...collectFragments(source, readFragment)].map(([name, text]) => ({ file: name, source: text }));
  const code = withoutComments([...fragments.map((f) => f.source), source].join("\n"));
  const all = [...fragments.map((f) => f.source), source].join("\n");
  const overrides = [...code.matchAll(/^\s*(?:@id\(\d+\)\s*)?override\s+(\w+)/gm)].map((match) => match[1]);
  return {
    name: file.replace(/\.wgsl$/, ""),
    parts: [...fragments, { file, source }],
    bindings: parseBindings(code, where),
    params: parseParams(code, where),
    overrides,
    aliases: [...new Set(directives(all, "alias"))],
    consts: [...new Set(directives(all, "const"))],
    enables: [...new Set([...code.matchAll(/^\s*enable\s+([\w\s,]+);/gm)].flatMap((match) => match[1].split(",").map((n) => n.trim())))],
  };
}

const camel = (name) => name.split("/").at(-1).replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const union = (names) => (names.length === 0 ? "never" : names.map((name) => JSON.stringify(name)).join(" | "));
const tuple = (length) => (length === 1 ? "number" : `readonly [${Array(length).fill("number").join(", ")}]`);

/** `enable` lines must come first in a module: they are taken out here and put back by the runtime. */
export const withoutEnables = (source) => source.replace(/^\s*enable\s+[\w\s,]+;[^\n]*$/gm, "");

const constantName = (prefix, file) => `${prefix}_${file.replace(/\W/g, "_")}`;

/** Every fragment that some kernel includes: its text by its file. */
function fragmentsOf(kernels) {
  return new Map(kernels.flatMap(({ parts }) => parts.slice(0, -1).map(({ file, source }) => [file, source])));
}

/** Names under which the kernels are exported. */
function exportedNames(kernels) {
  const names = kernels.map(({ name }) => camel(name));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw new Error(`two kernels are called ${twice}`);
  return names;
}

/** The TypeScript type of a kernel. */
function typeOf({ bindings, params, overrides, aliases, consts }) {
  const fields = params.fields.map((field) => `${field.name}: ${tuple(field.length)}`).join("; ");
  const prelude = [...aliases.map((alias) => `${alias}: "f32" | "f16"`), ...consts.map((name) => `${name}: number`)].join("; ");
  return `Kernel<${union(bindings.map(({ name }) => name))}, { ${fields} }, ${union(overrides)}, { ${prelude} }>`;
}

/** The text of src/generated/kernels.ts. */
export function kernelModule(kernels) {
  const lines = ["// Written by build.mjs from kernels/**/*.wgsl. Do not edit, do not commit.", 'import type { Kernel } from "../gpu/kernel.ts";', ""];
  const part = ({ file, source }) => `{ file: ${JSON.stringify(file)}, source: ${JSON.stringify(withoutEnables(source))} }`;
  for (const [file, source] of fragmentsOf(kernels)) lines.push(`const ${constantName("fragment", file)} = ${part({ file, source })};`);
  for (const [i, name] of exportedNames(kernels).entries()) {
    const { name: path, parts, enables, bindings, params, aliases, consts } = kernels[i];
    const texts = [...parts.slice(0, -1).map(({ file }) => constantName("fragment", file)), part(parts.at(-1))];
    lines.push(
      `/** kernels/${path}.wgsl */`,
      `export const ${name}: ${typeOf(kernels[i])} = {`,
      `  name: ${JSON.stringify(path)},`,
      `  parts: [${texts.join(", ")}],`,
      `  enables: ${JSON.stringify(enables)},`,
      `  bindings: ${JSON.stringify(bindings)},`,
      `  params: ${JSON.stringify(params.fields)},`,
      `  paramsBytes: ${params.bytes},`,
      `  aliases: ${JSON.stringify(aliases)},`,
      `  consts: ${JSON.stringify(consts)},`,
      "};",
      "",
    );
  }
  return lines.join("\n");
}

/**
 * Bindings and params of a kernel in the words that src/gpu/compact_kernel.ts reads.
 * @returns {[bindings: string, params: string]}
 */
export function compactWords({ name: path, bindings, params }) {
  if (bindings.some(({ index }, i) => index !== i + 1)) throw new Error(`kernels/${path}.wgsl: bindings are to be numbered from 1 on, in order`);
  return [
    bindings.map(({ name, access, element }) => `${name} ${element}${access === "read_write" ? "+" : ""}`).join(" "),
    params.fields.map(({ name, scalar, length }) => `${name} ${scalar}${length > 1 ? length : ""}`).join(" "),
  ];
}

/** The same kernels for the browser bundle: in few words, and the sources imported, one module a WGSL file. */
export function compactKernelModule(kernels) {
  const lines = ['import { compactKernel } from "../gpu/compact_kernel.ts";'];
  const sourceOf = (file) => {
    const name = constantName("source", file);
    lines.push(`import ${name} from "../../kernels/${file}";`);
    return name;
  };
  for (const file of fragmentsOf(kernels).keys()) lines.push(`const ${constantName("fragment", file)} = { file: ${JSON.stringify(file)}, source: ${sourceOf(file)} };`);
  for (const [i, name] of exportedNames(kernels).entries()) {
    const { name: path, parts, enables, aliases, consts } = kernels[i];
    const fragments = parts.slice(0, -1).map(({ file }) => constantName("fragment", file));
    const words = compactWords(kernels[i]);
    const lists = [enables, aliases, consts].map((list) => JSON.stringify(list.join(" ")));
    while (lists.at(-1) === '""') lists.pop();
    const args = [JSON.stringify(path), `[${fragments.join(", ")}]`, sourceOf(parts.at(-1).file), ...words.map((text) => JSON.stringify(text)), ...lists];
    lines.push(`export const ${name} = /* @__PURE__ */ compactKernel(${args.join(", ")});`);
  }
  return lines.join("\n");
}
