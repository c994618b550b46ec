import { readdir } from "node:fs/promises";
import type { Command } from "commander";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { nodePlatform } from "../platform_node.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import type { VerifyContext } from "../verify/context.ts";
import { type Part, passes } from "../verify/parts.ts";
import { type GoldenResult, verifyGoldens } from "../verify/verify.ts";
import { CheckFailed, createCommand, interruptSignal, log, printJson } from "./command.ts";

interface VerifyOptions {
  only?: string;
  verbose?: boolean;
  json?: boolean;
}

export function verifyCommand(): Command {
  return createCommand("verify", "compare this device and driver with goldens", "verify goldens --only unet_forward,ground")
    .argument("<dir>", "folder of goldens")
    .option("--only <names>", "goldens to verify, separated by commas")
    .option("--verbose", "a line for every part of a golden")
    .action(verify);
}

async function verify(directory: string, options: VerifyOptions): Promise<void> {
  const gpu = await openGpu();
  const print = options.json ? log : (line: string) => process.stdout.write(`${line}\n`);
  const results: GoldenResult[] = [];
  try {
    const context = await openGoldens(gpu, directory, interruptSignal());
    print(`${gpu.adapter.description || gpu.adapter.device}`);
    print(row(["golden", "", "error", "bound", "seconds"]));
    for await (const result of verifyGoldens(context, options.only?.split(",").map((name) => name.trim()))) {
      results.push(result);
      for (const line of describe(result, options.verbose ?? false)) print(line);
    }
    await gpu.sync(); // a device that was lost on the way is more than goldens that are not ok
  } finally {
    if (options.json && results.length > 0) printJson({ adapter: gpu.adapter, goldens: results });
    gpu.close();
  }
  const failed = results.filter(({ ok }) => !ok).length;
  print(failed === 0 ? `all ${results.length} within bounds` : `${failed} of ${results.length} not ok`);
  if (failed > 0) throw new CheckFailed(`${failed} goldens are not ok`);
}

/** The folder of goldens at `directory`. Throws InputError where there is none. */
export async function openGoldens(gpu: Gpu, directory: string, signal?: AbortSignal): Promise<VerifyContext> {
  const list = async (folder: string) => {
    const entries = await readdir(`${directory}/${folder}`, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name).sort();
  };
  await list("").catch((cause: NodeJS.ErrnoException) => {
    throw new InputError(directory, `is not a folder that can be read (${cause.code}); name a folder of goldens`, { cause });
  });
  return { gpu, platform: nodePlatform, folder: nodePlatform.openFolder(directory), list, signal };
}

const widths = [24, 4, 9, 9, 8];

function row([name, ...cells]: string[]): string {
  return [name.padEnd(widths[0]), ...cells.map((cell, i) => cell.padStart(widths[i + 1]))].join("  ");
}

const number = (value: number | null | undefined) => (value === null || value === undefined ? "-" : value === 0 ? "0" : value.toExponential(1));

function describe({ name, ok, error, bound, seconds, reason, parts }: GoldenResult, verbose: boolean): string[] {
  const verdict = ok ? "ok" : parts.length > 0 ? "MISS" : "none"; // none: nothing could be compared
  const head = row([name, verdict, number(error), number(bound), seconds.toFixed(1)]);
  const told = parts.filter((part) => verbose || !passes(part) || part.bound === undefined);
  return [reason ? `${head}  ${reason}` : head, ...told.map(describePart)];
}

function describePart({ name, error, bound, note }: Part): string {
  const verdict = bound === undefined ? "told" : passes({ name, error, bound }) ? "ok" : "MISS";
  return `  ${verdict.padEnd(4)}  ${number(error).padStart(9)}  ${number(bound).padStart(9)}  ${name}${note ? `: ${note}` : ""}`;
}
