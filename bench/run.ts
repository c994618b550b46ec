// npm run bench -- …: times kernels. --help says how.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { exitCodes, interruptSignal, log, printJson, reportError } from "../src/cli/command.ts";
import { packageRoot } from "../src/cli/package.ts";
import { wholeNumber } from "../src/cli/numbers.ts";
import { InputError } from "../src/errors.ts";
import type { AdapterFacts } from "../src/gpu/gpu.ts";
import { openGpu } from "../src/gpu/open_node.ts";
import { type MakeCases, fewestRounds, printFamily, takeFamilies } from "./harness.ts";
import { checkRounds, compareRuns, describeComparison } from "./tools/compare.ts";
import { type FamilyResult, readResults, resultsFile, saveResults } from "./tools/results_file.ts";
import { watchKernel } from "./tools/watch.ts";

interface BenchOptions {
  rounds: number;
  shapes?: number[][];
  save?: string;
  compare?: string;
  watch?: boolean;
  dump?: boolean;
  json?: boolean;
}

const families = filesIn(import.meta.dirname, ".ts").filter((name) => !["harness", "run"].includes(name));
const kernelsFolder = join(packageRoot, "kernels");

/** Names of the files of a folder that end so, without the end. */
function filesIn(folder: string, end: string): string[] {
  return readdirSync(folder).filter((file) => file.endsWith(end)).map((file) => file.slice(0, -end.length));
}

const program = new Command("bench")
  .description("time kernels beside their naive versions; watch one while it is edited. What attnscope tune chose is left aside")
  .argument("[name...]", `families (${families.join(", ")}; all where none is named), or with --watch and --dump one kernel`)
  .option("--rounds <n>", "interleaved rounds", wholeNumber(fewestRounds), fewestRounds)
  .option("--shapes <list>", "shapes in place of the family's own, such as 4096x320,77x768", parseShapes)
  .option("--save <file>", "write the times of all rounds")
  .option("--compare <file>", "compare with times that were saved, and end with 1 where a case is slower")
  .option("--watch", "time a kernel whenever its WGSL is saved, beside naive, best and last")
  .option("--dump", "print a kernel's final WGSL and, where Dawn tells it, its SPIR-V")
  .option("--json", "print the times of all rounds as one object on stdout, and tables on stderr")
  .addHelpText("after", "\nExamples:\n  $ npm run bench -- attention --save before.json\n  $ npm run bench -- attention --compare before.json\n  $ npm run bench -- matmul_subgroup --watch --shapes 1024x1024x1024")
  .exitOverride()
  .action(run);

function parseShapes(text: string): number[][] {
  if (!/^[1-9]\d*(x[1-9]\d*)*(,[1-9]\d*(x[1-9]\d*)*)*$/.test(text)) throw new InvalidArgumentError("Give shapes such as 4096x320,77x768.");
  return text.split(",").map((shape) => shape.split("x").map(Number));
}

async function run(names: readonly string[], options: BenchOptions): Promise<void> {
  if (!options.watch && !options.dump) return timeFamilies(names, options);
  if (names.length !== 1) throw new InputError("bench", "name one kernel to watch or to dump");
  const kernel = findKernel(names[0]);
  const cases = await casesOf(familiesOf(kernel), options.shapes);
  if (options.dump) {
    const { dumpKernel } = await import("./tools/dump.ts");
    return dumpKernel(kernel, cases, console.log);
  }
  const gpu = await openGpu();
  try {
    await watchKernel({ gpu, kernel, kernelsFolder, families: cases, print: console.log, signal: interruptSignal() });
  } finally {
    gpu.close();
  }
}

async function timeFamilies(names: readonly string[], { rounds, shapes, save, compare, json }: BenchOptions): Promise<void> {
  const unknown = names.filter((name) => !families.includes(name));
  if (unknown.length > 0) throw new InputError("bench", `no family ${unknown.join(", ")}; there are ${families.join(", ")}`);
  const wanted = names.length > 0 ? names : families;
  const earlier = compare === undefined ? undefined : readResults(compare);
  const before = earlier?.results.filter(({ family }) => wanted.includes(family)) ?? [];
  if (compare) checkRounds(compare, before, rounds);
  const print = json ? log : console.log;
  const results: FamilyResult[] = [];
  let adapter: AdapterFacts | undefined;
  for (const family of wanted) {
    print(`\n# ${family}`);
    await importFamily(family, shapes, async (makeCases, summarise) => {
      // A device a family: its inputs end with it.
      const gpu = await openGpu();
      try {
        adapter = gpu.adapter;
        if (compare && earlier?.device !== adapter.device) throw new InputError(compare, `was measured on ${earlier?.device}, this device is ${adapter.device}; compare runs of one device`);
        for (const result of await printFamily(gpu, makeCases, { summarise, rounds, print })) results.push({ family, ...result });
      } finally {
        gpu.close();
      }
    });
  }
  if (!adapter) return;
  const file = resultsFile(adapter, results);
  if (json) printJson(file);
  if (save) await saveResults(save, file);
  if (!compare || !earlier) return;
  const comparison = compareRuns(before, results);
  print(`\n# against ${compare} (${earlier.version}, ${earlier.commit}, ${earlier.date.slice(0, 10)}, ${earlier.driver})\n${describeComparison(comparison)}`);
  if (comparison.cases.some(({ verdict }) => verdict === "slower")) process.exitCode = exitCodes.checkFailed;
}

async function importFamily(family: string, shapes: BenchOptions["shapes"], runner: Parameters<typeof takeFamilies>[0]): Promise<void> {
  takeFamilies(runner, shapes);
  await import(`./${family}.ts`);
}

/** Folder and name of the kernel that is called so. */
function findKernel(name: string): string {
  const kernels = readdirSync(kernelsFolder).filter((folder) => folder !== "lib").flatMap((folder) => filesIn(join(kernelsFolder, folder), ".wgsl").map((file) => `${folder}/${file}`));
  const wanted = name.replace(/\.wgsl$/, "").replace(/^.*kernels\//, "");
  const found = kernels.filter((kernel) => kernel === wanted || kernel.split("/")[1] === wanted);
  if (found.length !== 1) throw new InputError("bench", `no kernel ${name}; name one of kernels/, such as ${kernels[0]}`);
  return found[0];
}

/** The families whose cases may use a kernel: those that its name begins with, else that of its folder, else all. */
function familiesOf(kernel: string): readonly string[] {
  const [folder, name] = kernel.split("/");
  const ofName = families.filter((family) => name.startsWith(family));
  if (ofName.length > 0) return ofName;
  return families.includes(folder) ? [folder] : families;
}

async function casesOf(names: readonly string[], shapes: BenchOptions["shapes"]): Promise<MakeCases[]> {
  const cases: MakeCases[] = [];
  for (const family of names) await importFamily(family, shapes, async (makeCases) => void cases.push(makeCases));
  return cases;
}

await program.parseAsync().catch((error) => {
  process.exitCode = reportError(error);
});
