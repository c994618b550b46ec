// Builds the package: reads every kernel, writes src/generated/kernels.ts, bundles dist/.
//   node build.mjs                   everything
//   node build.mjs --generate-only   only src/generated/kernels.ts
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseKernel, kernelModule } from "./scripts/wgsl.mjs";

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

async function bundle(kernels) {
  const esbuild = await import("esbuild").catch(() => {
    console.error("build: the packages are not installed; run: npm ci");
    process.exit(2);
  });
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const shared = {
    bundle: true,
    format: "esm",
    target: "es2022",
    sourcemap: true,
    logLevel: "warning",
    absWorkingDir: root,
  };
  rmSync(join(root, "dist"), { recursive: true, force: true });
  await esbuild.build({
    ...shared,
    entryPoints: { node: "src/node.ts", cli: "src/cli/main.ts" },
    outdir: "dist",
    platform: "node",
    packages: "external",
    splitting: true,
  });
  await esbuild.build({
    ...shared,
    entryPoints: { browser: "src/browser.ts" },
    outdir: "dist",
    platform: "browser",
    minify: true,
    splitting: true,
    chunkNames: "browser-[hash]",
    external: ["@huggingface/tokenizers", "wink-nlp", "wink-eng-lite-web-model"],
    plugins: [
      {
        name: "strip-wgsl",
        setup: (build) => build.onLoad({ filter: /generated\/kernels\.ts$/ }, () => ({ contents: kernelModule(kernels, { strip: true }), loader: "ts" })),
      },
    ],
  });
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.types.json"], { cwd: root, stdio: "inherit" });
}

const kernels = generate();
if (!process.argv.includes("--generate-only")) await bundle(kernels);
console.error(`built ${kernels.length} kernels`);
