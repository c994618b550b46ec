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

/**
 * The text of src/generated/kernels.ts. With `imports` the sources are not in it but imported, one module a WGSL file:
 * a bundler then maps them to their files.
 */
export function kernelModule(kernels, { imports = false } = {}) {
  const names = new Set();
  const lines = [
    "// Written by build.mjs from kernels/**/*.wgsl. Do not edit, do not commit.",
    'import type { Kernel } from "../gpu/kernel.ts";',
    "",
  ];
  const fragments = new Map();
  for (const kernel of kernels) for (const part of kernel.parts.slice(0, -1)) fragments.set(part.file, part.source);
  const constantName = (prefix, file) => `${prefix}_${file.replace(/\W/g, "_")}`;
  const embedded = (file, source) => {
    if (!imports) return JSON.stringify(withoutEnables(source));
    const name = constantName("source", file);
    lines.push(`import ${name} from "../../kernels/${file}";`);
    return name;
  };
  for (const [file, source] of fragments) {
    const text = embedded(file, source);
    lines.push(`const ${constantName("fragment", file)} = { file: ${JSON.stringify(file)}, source: ${text} };`);
  }
  for (const kernel of kernels) {
    const name = camel(kernel.name);
    if (names.has(name)) throw new Error(`two kernels are called ${name}`);
    names.add(name);
    const own = kernel.parts.at(-1);
    const params = kernel.params.fields.map((field) => `${field.name}: ${tuple(field.length)}`).join("; ");
    const prelude = [...kernel.aliases.map((alias) => `${alias}: "f32" | "f16"`), ...kernel.consts.map((c) => `${c}: number`)].join("; ");
    const type = `Kernel<${union(kernel.bindings.map((b) => b.name))}, { ${params} }, ${union(kernel.overrides)}, { ${prelude} }>`;
    const parts = [
      ...kernel.parts.slice(0, -1).map((part) => constantName("fragment", part.file)),
      `{ file: ${JSON.stringify(own.file)}, source: ${embedded(own.file, own.source)} }`,
    ].join(", ");
    lines.push(
      `/** kernels/${kernel.name}.wgsl */`,
      `export const ${name}: ${type} = {`,
      `  name: ${JSON.stringify(kernel.name)},`,
      `  parts: [${parts}],`,
      `  enables: ${JSON.stringify(kernel.enables)},`,
      `  bindings: ${JSON.stringify(kernel.bindings)},`,
      `  params: ${JSON.stringify(kernel.params.fields)},`,
      `  paramsBytes: ${kernel.params.bytes},`,
      `  aliases: ${JSON.stringify(kernel.aliases)},`,
      `  consts: ${JSON.stringify(kernel.consts)},`,
      "};",
      "",
    );
  }
  return lines.join("\n");
}
