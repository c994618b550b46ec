// npm run bench:growth -- …: how time grows with the size of the work. --help says how.
import { Command } from "commander";
import { interruptSignal, log, reportError } from "../../src/cli/command.ts";
import { wholeNumber } from "../../src/cli/numbers.ts";
import { InputError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/open_node.ts";
import { writeFileAtomically } from "../../src/weights/atomic_file_node.ts";
import { fewestRounds, warmUps } from "../harness.ts";
import { words } from "../tools/options.ts";
import { runFacts } from "../tools/results_file.ts";
import { type Curve, curves } from "./curves.ts";
import { type GrowthFile, measureCurve } from "./measure.ts";
import { growthPage } from "./page.ts";
import { curveTable } from "./table.ts";
import { openSubject } from "./works.ts";

interface GrowthOptions {
  only?: string[];
  rounds: number;
  save?: string;
  html?: string;
}

const ids = curves.map(({ id }) => id);

const program = new Command("bench:growth")
  .description("time how cost grows on the shipped model, points of a curve in turns, and fit a law to each curve. What attnscope tune chose is left aside")
  .option("--only <list>", `which curves: ${ids.join(", ")}; all where it is left out`, words)
  .option("--rounds <n>", "interleaved rounds", wholeNumber(1), fewestRounds)
  .option("--save <file>", "write the times of all rounds as JSON, anew after each curve")
  .option("--html <file>", "write one page with the curves and their laws, anew after each curve")
  .addHelpText("after", "\nExample:\n  $ npm run bench:growth -- --only timesteps,phrases --save growth.json --html growth.html")
  .exitOverride()
  .action(run);

async function run({ only, rounds, save, html }: GrowthOptions): Promise<void> {
  const wanted = chosenCurves(only);
  const signal = interruptSignal();
  const gpu = await openGpu();
  try {
    const subject = await openSubject(gpu, signal);
    const file: GrowthFile = { format: "attnscope growth 1", ...runFacts(gpu.adapter), model: "weights/phantom", warmUps, rounds, curves: [] };
    console.log(`device ${file.device}, driver ${file.driver}, commit ${file.commit}; ${warmUps} warm-ups, median of ${rounds} interleaved rounds`);
    for (const curve of wanted) {
      log(`${curve.id}: measuring`);
      const measured = await measureCurve(subject, curve, rounds);
      file.curves.push(measured);
      console.log(`\n${curveTable(measured)}`);
      if (save) await write(save, growthJson(file));
      if (html) await write(html, growthPage(file));
    }
  } finally {
    gpu.close();
  }
}

/** The curves of a list of names. @throws InputError */
function chosenCurves(only = ids): Curve[] {
  const unknown = only.filter((id) => !ids.includes(id));
  if (unknown.length > 0) throw new InputError("--only", `no curve ${unknown.join(", ")}; there are ${ids.join(", ")}`);
  return curves.filter(({ id }) => only.includes(id));
}

function growthJson(file: GrowthFile): string {
  return `${JSON.stringify(file, (_key, value) => (typeof value === "number" ? Number(value.toPrecision(6)) : value), 1)}\n`;
}

const write = (path: string, text: string) => writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(text)));

await program.parseAsync().catch((error) => {
  process.exitCode = reportError(error);
});
