import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import type { Page } from "playwright-core";
import { minifiedKernels, readKernels } from "../../scripts/kernels.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const repository = fileURLToPath(new URL("../..", import.meta.url));

/** What stands in for modules that browsers lack. */
const substitutes: [imported: RegExp, path: string][] = [
  [/^node:test$/, `${here}node_test_shim.ts`],
  [/^node:assert\/strict$/, `${here}node_assert_shim.ts`],
  [/open_node\.ts$/, `${repository}src/browser.ts`],
];

const browserModules: esbuild.Plugin = {
  name: "browser-modules",
  setup(build) {
    for (const [filter, path] of substitutes) build.onResolve({ filter }, () => ({ path }));
    build.onResolve({ filter: /^node:fs|test\/shared\.ts$/ }, ({ path }) => ({ path, namespace: "absent" }));
    // Goldens lie on the machine's disk: tests that need them run in Node alone.
    build.onLoad({ filter: /./, namespace: "absent" }, () => ({
      contents: 'export const sharedPath = () => undefined; export const needsShared = () => ({ skip: "no files here" }); export const readFile = undefined, readFileSync = undefined;',
    }));
  },
};

/** Runs a file of the kernels' tests in a page, with the kernels as the browser bundle has them. */
export async function runKernelTests(page: Page, file: string): Promise<{ ran: number; failures: string[] }> {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: `import ${JSON.stringify(file)}; export { runCollected } from ${JSON.stringify(`${here}node_test_shim.ts`)};`, resolveDir: repository },
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    ignoreAnnotations: true, // the package says that its modules have no effects; test files have
    absWorkingDir: repository,
    external: ["@huggingface/tokenizers", "wink-nlp", "wink-eng-lite-web-model", "dcmjs-codecs"],
    logLevel: "error",
    plugins: [browserModules, minifiedKernels(readKernels())],
  });
  const path = `/kernel-tests/${basename(file)}.js`;
  await page.route(`**${path}`, (route) => route.fulfill({ contentType: "text/javascript", body: outputFiles[0].text }));
  return page.evaluate(async (script) => {
    const { runCollected } = (await import(script)) as typeof import("./node_test_shim.ts");
    return runCollected();
  }, path);
}
