// Builds the package: reads every kernel, writes src/generated/kernels.ts, bundles dist/.
//   node build.mjs                   everything
//   node build.mjs --generate-only   only src/generated/kernels.ts
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { compactKernelModule, kernelModule, parseKernel, withoutEnables } from "./scripts/wgsl.mjs";
import { minifyWgsl, shortNames } from "./scripts/wgsl_minify.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));
const kernelsDir = join(root, "kernels");

function wgslFiles(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return entry.name === "lib" ? [] : wgslFiles(path);
    return entry.name.endsWith(".wgsl") ? [path] : [];
  });
}

/** Writes a file only when its content changes, by rename, so that watchers and parallel builds see whole files. */
function writeIfChanged(path, text) {
  try {
    if (readFileSync(path, "utf8") === text) return;
  } catch {
    mkdirSync(join(path, ".."), { recursive: true });
  }
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

function generate() {
  const readFragment = (name) => readFileSync(join(kernelsDir, name), "utf8");
  const kernels = wgslFiles(kernelsDir)
    .sort()
    .map((path) => parseKernel(relative(kernelsDir, path).replaceAll("\\", "/"), readFileSync(path, "utf8"), readFragment));
  writeIfChanged(join(root, "src/generated/kernels.ts"), kernelModule(kernels));
  return kernels;
}

/**
 * Embeds short WGSL: each kernel file is a module of its own, whose source map leads to the file as it was written.
 * The host knows a kernel by its overrides and prelude, so their names stay.
 */
function minifiedKernels(kernels) {
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

/** Removes the source maps of scripts that hold nothing but other packages: they are larger than all the rest. */
function dropPackageMaps({ outputs }) {
  for (const [path, { inputs }] of Object.entries(outputs)) {
    if (!path.endsWith(".js") || !Object.keys(inputs).every((input) => input.startsWith("node_modules/"))) continue;
    rmSync(join(root, `${path}.map`));
    writeFileSync(join(root, path), readFileSync(join(root, path), "utf8").replace(/\n\/\/# sourceMappingURL=\S+\s*$/, "\n"));
  }
}

/** Lets a script use the library's doors as they were built. */
const throughDoors = {
  name: "through-doors",
  setup(build) {
    build.onResolve({ filter: /\/(browser|models)\.ts$/ }, ({ path }) => ({ path: path.endsWith("browser.ts") ? "./index.js" : "./models.js", external: true }));
  },
};

async function bundle(kernels) {
  const esbuild = await import("esbuild").catch(() => {
    console.error("build: the packages are not installed; run: npm ci");
    process.exit(2);
  });
  const shared = {
    bundle: true,
    format: "esm",
    target: "es2022",
    sourcemap: true,
    splitting: true,
    logLevel: "warning",
    absWorkingDir: root,
  };
  rmSync(join(root, "dist"), { recursive: true, force: true });
  await esbuild.build({
    ...shared,
    entryPoints: { node: "src/node.ts", models: "src/models.ts", training: "src/training.ts", cli: "src/cli/main.ts" },
    outdir: "dist",
    platform: "node",
    packages: "external",
  });
  const browser = { ...shared, outdir: "dist/browser", platform: "browser", minify: true };
  const { metafile } = await esbuild.build({
    ...browser,
    entryPoints: { index: "src/browser.ts", models: "src/models.ts", training: "src/training.ts" },
    chunkNames: "[name]-[hash]",
    metafile: true,
    plugins: [minifiedKernels(kernels)],
  });
  dropPackageMaps(metafile);
  // Each on its own: what these share with the library would be cut into scripts too small to compress well.
  await esbuild.build({ ...browser, entryPoints: { worker_host: "src/worker/host.ts" }, plugins: [throughDoors] });
  await esbuild.build({ ...browser, entryPoints: { worker: "src/worker/client.ts" } });
  await esbuild.build({ ...browser, entryPoints: { page: "src/page/main.tsx" }, jsx: "automatic", jsxImportSource: "preact", chunkNames: "page-[hash]" });
  for (const file of ["index.html", "page.css"]) copyFileSync(join(root, "src/page", file), join(root, "dist/browser", file));
  const codecs = createRequire(import.meta.url).resolve("dcmjs-codecs");
  copyFileSync(join(codecs, "../dcmjs-native-codecs.wasm"), join(root, "dist/browser/dcmjs-native-codecs.wasm"));
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.types.json"], { cwd: root, stdio: "inherit" });
}

const kernels = generate();
if (!process.argv.includes("--generate-only")) await bundle(kernels);
console.error(`built ${kernels.length} kernels`);
