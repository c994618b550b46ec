import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { publint } from "publint";
import { build as viteBuild } from "vite";
import { browserDist, gzipBytes, loadedWith, needsBuild } from "./files.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
/** What a page may have to fetch before it can do anything: runtime, kernels and operations. */
const ENGINE_BYTES = 60_000;

describe("the browser bundle", needsBuild, () => {
  const engine = () => loadedWith(join(browserDist, "index.js"));

  test(`with all kernels takes at most ${ENGINE_BYTES} bytes after gzip`, (t) => {
    const bytes = gzipBytes(engine());
    t.diagnostic(`${bytes} bytes in ${engine().size} files`);
    assert.ok(bytes <= ENGINE_BYTES, `${bytes} bytes`);
  });

  test("holds every kernel of the operations that the package exports, and no comment of one", () => {
    const text = [...engine()].map((file) => readFileSync(file, "utf8")).join("\n");
    const doors = ["index.ts", "training.ts"].map((door) => readFileSync(join(repository, "src", door), "utf8")).join("\n");
    const operations = [...doors.matchAll(/"\.\/(ops\/\w+\.ts)"/g)].map(([, path]) => readFileSync(join(repository, "src", path), "utf8"));
    const kernels = operations.flatMap((source) => [.../import \{([^}]*)\} from "\.\.\/generated\/kernels\.ts"/.exec(source)?.[1].matchAll(/(\w+)(?: as \w+)?,?/g) ?? []].map(([, name]) => name));
    const fileName = (kernel: string) => `/${kernel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}"`;
    assert.ok(kernels.length > 90, `${kernels.length} kernels`);
    assert.deepEqual(kernels.filter((kernel) => !text.includes(fileName(kernel))), []);
    assert.ok(!/\\n\s*\/\//.test(text));
  });

  test("does not hold what is fetched on demand: tokenizer, tagger, image decoders, PyTorch's formats", () => {
    const text = [...engine()].map((file) => readFileSync(file, "utf8")).join("\n");
    for (const mark of ["BertPreTokenizer", "wink", "damaged or truncated PNG", "torch.save", "Transfer Syntax"]) assert.ok(!text.includes(mark), mark);
  });

  test("maps each kernel to its file, with names as they were written", () => {
    const files = [...engine()].map((file) => `${file}.map`).filter((file) => existsSync(file));
    const maps = files.map((file) => JSON.parse(readFileSync(file, "utf8")) as { sources: string[]; sourcesContent: string[] });
    const at = maps.flatMap(({ sources, sourcesContent }) => sources.map((source, i) => ({ source, content: sourcesContent[i] })));
    const matmul = at.find(({ source }) => source.endsWith("kernels/matmul/matmul_tiled.wgsl"));
    assert.equal(matmul?.content, readFileSync(join(repository, "kernels/matmul/matmul_tiled.wgsl"), "utf8"));
  });
});

describe("the package", needsBuild, () => {
  const scratch = mkdtempSync(join(tmpdir(), "attnscope-package-"));
  const installed = join(scratch, "node_modules", "attnscope");
  let tarball = "";
  after(() => rmSync(scratch, { recursive: true, force: true }));
  before(() => {
    const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", scratch], { cwd: repository, encoding: "utf8" }));
    tarball = join(scratch, filename);
    execFileSync("tar", ["-xzf", tarball, "-C", scratch]);
    mkdirSync(join(scratch, "node_modules"));
    cpSync(join(scratch, "package"), installed, { recursive: true });
    writeFileSync(join(scratch, "app.js"), 'import { openGpu, loadPipeline } from "attnscope";\nwindow.start = async () => loadPipeline(await openGpu(), "/model");\n');
    cpSync(join(repository, "examples", "vite"), join(scratch, "vite"), { recursive: true });
  });

  test("holds what a user needs and nothing else", () => {
    const top = new Set(readdirSync(installed));
    assert.deepEqual(top, new Set(["LICENSE", "README.md", "bin", "dist", "package.json", "scripts", "weights"]));
  });

  test("passes publint", async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
    assert.deepEqual(messages, []);
  });

  test("passes arethetypeswrong", () => {
    const attw = join(repository, "node_modules/@arethetypeswrong/cli/dist/index.js");
    execFileSync(process.execPath, [attw, tarball, "--profile", "esm-only", "--format", "ascii"], { encoding: "utf8", stdio: "pipe" });
  });

  test("goes into an app of esbuild's, which fetches the models' code on demand", async () => {
    const outdir = join(scratch, "esbuild");
    await esbuild.build({ entryPoints: [join(scratch, "app.js")], outdir, bundle: true, format: "esm", minify: true, splitting: true, absWorkingDir: scratch, logLevel: "error" });
    const app = loadedWith(join(outdir, "app.js"));
    assert.ok(readdirSync(outdir).filter((file) => file.endsWith(".js")).length > app.size);
    assert.ok(gzipBytes(app) <= ENGINE_BYTES);
  });

  test("goes into an app of Vite's: the example", async () => {
    const result = await viteBuild({ root: join(scratch, "vite"), logLevel: "error", build: { target: "es2022" } });
    const { output } = result as { output: { type: string; fileName: string; isEntry?: boolean }[] };
    assert.ok(output.some(({ type, isEntry }) => type === "chunk" && isEntry));
    assert.ok(output.some(({ fileName }) => /load_pipeline/.test(fileName)));
  });
});
