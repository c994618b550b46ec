// Reads all kernels, for the build and for tests that bundle them.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { compactKernelModule, parseKernel, withoutEnables } from "./wgsl.mjs";
import { minifyWgsl, shortNames } from "./wgsl_minify.mjs";

const kernelsDir = fileURLToPath(new URL("../kernels", import.meta.url));

function wgslFiles(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return entry.name === "lib" ? [] : wgslFiles(path);
    return entry.name.endsWith(".wgsl") ? [path] : [];
  });
}

/** The descriptions of all kernels, in the order of their files. */
export function readKernels() {
  const readFragment = (name) => readFileSync(join(kernelsDir, name), "utf8");
  return wgslFiles(kernelsDir)
    .sort()
    .map((path) => parseKernel(relative(kernelsDir, path).replaceAll("\\", "/"), readFileSync(path, "utf8"), readFragment));
}

/**
 * A plugin of esbuild's that embeds short WGSL: each kernel file is a module of its own, whose source map leads to the
 * file as it was written. The host knows a kernel by its overrides and prelude, so their names stay.
 */
export function minifiedKernels(kernels) {
  const sources = new Map(kernels.flatMap(({ parts }) => parts.map(({ file, source }) => [join(kernelsDir, file), source])));
  const names = shortNames([...sources.values()], kernels.flatMap(({ aliases, consts }) => [...aliases, ...aliases.map((alias) => `${alias}4`), ...consts]));
  const module = (path) => {
    const source = sources.get(path);
    // The module's first character comes from the first of the WGSL file.
    const map = { version: 3, sources: [path], sourcesContent: [source], names: [], mappings: "AAAA" };
    const url = `data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}`;
    return `export default ${JSON.stringify(minifyWgsl(withoutEnables(source), names))};\n//# sourceMappingURL=${url}`;
  };
  return {
    name: "minified-kernels",
    setup(build) {
      build.onLoad({ filter: /generated.kernels\.ts$/ }, () => ({ contents: compactKernelModule(kernels), loader: "ts" }));
      build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => ({ contents: module(path), loader: "js" }));
    },
  };
}
