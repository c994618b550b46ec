// npm run bench:peers -- …: attnscope beside other WebGPU engines on the same adapter. --help says how.
import { writeFileSync } from "node:fs";
import { Command } from "commander";
import { exitCodes, log, printJson, reportError } from "../../src/cli/command.ts";
import { wholeNumber } from "../../src/cli/numbers.ts";
import { InputError } from "../../src/errors.ts";
import { words } from "../tools/options.ts";
import { commitNow } from "../tools/results_file.ts";
import { engines } from "./engines.ts";
import { ensurePeers } from "./install.ts";
import { type Measured, createContest, isCounted } from "./measure.ts";
import { type Bar, barsOf, barsTable, engineLines, timesTable } from "./report.ts";
import { works } from "./work.ts";

interface PeersOptions {
  rounds: number;
  limit: number;
  peers?: string[];
  save?: string;
  json?: boolean;
}

const peerIds = engines.filter(({ role, id }) => role === "peer" && id !== "reference").map(({ id }) => id);

const program = new Command("bench:peers")
  .description("time attnscope beside other WebGPU engines: the same inputs, each output checked against f64, interleaved in rounds")
  .argument("[work...]", "parts of the names of works, such as matmul or 320; all where none is given")
  .option("--rounds <n>", "interleaved rounds", wholeNumber(1), 7)
  .option("--limit <seconds>", "time that an engine has for one step", wholeNumber(1), 300)
  .option("--peers <list>", `which ones: ${peerIds.join("; ")} (their names may be cut short)`, words)
  .option("--save <file>", "write all times as JSON, anew after each work")
  .option("--json", "print them as one object on stdout, and tables on stderr")
  .addHelpText("after", "\nExample:\n  $ npm run bench:peers -- attention --peers onnxruntime-web,jax --save peers.json")
  .exitOverride()
  .action(run);

async function run(names: readonly string[], { rounds, limit, peers: asked, save, json }: PeersOptions): Promise<void> {
  const wanted = works.filter(({ name }) => names.length === 0 || names.some((part) => name.toLowerCase().includes(part.toLowerCase())));
  if (wanted.length === 0) throw new InputError("bench:peers", `no work is called so; there are ${works.map(({ name }) => name).join("; ")}`);
  const peers = peerIds.filter((id) => asked?.some((part) => id.startsWith(part)) ?? true);
  if (peers.length === 0) throw new InputError("--peers", `there are ${peerIds.join("; ")}`);
  await ensurePeers(log);
  const print = json ? log : console.log;
  const contest = createContest({ rounds, limitMs: 1000 * limit, peers: [...peers, "reference"], say: log });
  const [results, bars]: [Measured[], Bar[]] = [[], []];
  const started = { format: "attnscope peers 1", commit: commitNow(), date: new Date().toISOString(), node: process.version, rounds };
  const file = () => ({ ...started, engines: { ...Object.fromEntries(contest.facts), ...Object.fromEntries(contest.unavailable) }, results, bars });
  try {
    for (const work of wanted) {
      const measured = await contest.measure(work);
      results.push(...measured);
      bars.push(...barsOf(work, measured));
      print(`\n# ${work.name}\n${timesTable(work, measured)}`);
      if (save) writeFileSync(save, `${JSON.stringify(file(), null, 1)}\n`);
    }
  } finally {
    contest.end();
  }
  print(`\n# Median of the best correct peer over the median of ours, ${rounds} rounds\n${barsTable(bars)}\n\n${engineLines(contest.facts, contest.unavailable)}`);
  if (json) printJson(file());
  if (results.some((result) => result.role !== "peer" && !isCounted(result))) process.exitCode = exitCodes.checkFailed;
}

await program.parseAsync().catch((error) => {
  process.exitCode = reportError(error);
});
