import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { InputError } from "../errors.ts";
import { packageRoot } from "./package.ts";

/** `bench`: hands everything to bench/run.ts, which stands in the repository with the kernels' cases, not in the package. */
export function benchCommand(): Command {
  return new Command("bench")
    .description("time kernels beside their naive versions, watch one while it is edited (in a clone of the repository)")
    .argument("[arguments...]")
    .allowUnknownOption()
    .helpOption(false)
    .action(bench);
}

async function bench(args: readonly string[]): Promise<void> {
  const program = join(packageRoot, "bench", "run.ts");
  if (!existsSync(program)) throw new InputError("bench", "the installed package has no cases to time; clone the repository, npm ci, and run npm run bench there");
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), program, ...args], { stdio: "inherit" });
  // An interrupt reaches the child too, which ends by itself.
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  process.exitCode = await new Promise<number>((resolve, reject) => child.on("error", reject).on("close", (code) => resolve(code ?? 3)));
  process.off("SIGINT", ignore);
}
