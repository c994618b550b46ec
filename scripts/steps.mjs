// @ts-check
/** The steps behind `npm start`, `npm test`, `npm run train:phantom` and `npm run paper`. Each is skipped where its outcome is there. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureAdapter } from "./adapter/ensure.mjs";
import { withAdapter } from "./adapter/memory.mjs";
import { ensureChromium } from "./browser/ensure.mjs";
import { endWith, handOver, npmCommand, runStep, say, Stop } from "./process.mjs";
import { fingerprint, packagesMatch, readJson, writeWhole } from "./stamps.mjs";
import { trainPhantom } from "./train_phantom.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const MINUTE = 60_000;
const BAD_USAGE = 2;

const BUILD_INPUTS = ["src", "kernels", "build.mjs", "scripts/kernels.mjs", "scripts/wgsl.mjs", "scripts/wgsl_minify.mjs", "package.json", "package-lock.json"];
const BUILD_GENERATED = ["src/generated"];

/** What the program does where no command is given: grounds the shipped films with the shipped model. */
const START_COMMAND = ["bin/attnscope.mjs", "start"];

/** @type {Record<string, (env: NodeJS.ProcessEnv, args: string[]) => Promise<number>>} */
const programs = {
  start: (env, args) => handOver(process.execPath, [...START_COMMAND, ...args], { cwd: root, env }),
  test: async (env) => {
    await checkTypes();
    await ensureChromium();
    return runTests("fast", env);
  },
  "test:full": async (env) => {
    await ensureChromium();
    return runTests("full", env);
  },
  "train:phantom": (env, args) => trainPhantom(root, env, args),
  paper: (env, args) => handOver(process.execPath, ["bin/attnscope.mjs", "paper", ...args], { cwd: root, env }),
};

/**
 * Sets up what is missing and runs one of the programs; the process ends with its exit code.
 * @param {string[]} args the program's name and its arguments
 */
export function run([name = "", ...args]) {
  return endWith(async () => {
    const program = programs[name];
    if (!program) throw new Stop(`usage: node scripts/run.mjs ${Object.keys(programs).join("|")}`, BAD_USAGE);
    await ensurePackages();
    await ensureBuild();
    const { env } = await ensureAdapter();
    return program(withAdapter(process.env, env), args);
  });
}

async function ensurePackages() {
  const installed = readJson(join(root, "node_modules", ".package-lock.json"));
  if (packagesMatch(readJson(join(root, "package-lock.json")), installed)) return;
  say("installing packages (npm ci)");
  const [npm, ...npmArgs] = npmCommand();
  // The packages work without their install scripts, and their build tools are needed here even in production.
  const options = ["--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
  await runStep(npm, [...npmArgs, "ci", ...options], { cwd: root, timeout: 15 * MINUTE });
}

async function ensureBuild() {
  const stamp = join(root, ".attnscope", "build.json");
  const inputs = fingerprint(root, BUILD_INPUTS, BUILD_GENERATED);
  if (existsSync(join(root, "dist", "cli.js")) && readJson(stamp)?.inputs === inputs) return;
  say("building (node build.mjs)");
  rmSync(stamp, { force: true });
  await runStep(process.execPath, ["build.mjs"], { cwd: root, timeout: 5 * MINUTE });
  writeWhole(stamp, `${JSON.stringify({ inputs })}\n`);
}

async function checkTypes() {
  say("checking types (tsc)");
  const compiler = join("node_modules", "@typescript", "native", "bin", "tsc");
  const code = await handOver(process.execPath, [compiler, "-p", "tsconfig.json", "--noEmit"], { cwd: root });
  if (code !== 0) throw new Stop("the types do not check", code);
}

/**
 * @param {string} set a test set of scripts/test.mjs
 * @param {NodeJS.ProcessEnv} env
 */
function runTests(set, env) {
  return handOver(process.execPath, ["scripts/test.mjs", set], { cwd: root, env });
}
