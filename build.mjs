// Builds the package: reads every kernel, writes src/generated/kernels.ts, bundles dist/.
//   node build.mjs                   everything
//   node build.mjs --generate-only   only src/generated/kernels.ts
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { minifiedKernels, readKernels } from "./scripts/kernels.mjs";
import { kernelModule } from "./scripts/wgsl.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));
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
  const kernels = readKernels();
  writeIfChanged(join(root, "src/generated/kernels.ts"), kernelModule(kernels));
  return kernels;
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
  const page = await esbuild.build({ ...browser, entryPoints: { page: "src/page/main.tsx" }, jsx: "automatic", jsxImportSource: "preact", chunkNames: "page-[hash]", metafile: true });
  dropPackageMaps(page.metafile);
  for (const file of ["index.html", "page.css"]) copyFileSync(join(root, "src/page", file), join(root, "dist/browser", file));
  const codecs = createRequire(import.meta.url).resolve("dcmjs-codecs");
  copyFileSync(join(codecs, "../dcmjs-native-codecs.wasm"), join(root, "dist/browser/dcmjs-native-codecs.wasm"));
  execFileSync(process.execPath, [join(root, "node_modules/@typescript/native/bin/tsc"), "-p", "tsconfig.types.json"], { cwd: root, stdio: "inherit" });
}

const kernels = generate();
if (!process.argv.includes("--generate-only")) await bundle(kernels);
console.error(`built ${kernels.length} kernels`);
