import type { TestContext } from "node:test";
import type { Command } from "commander";
import { reportError } from "../src/cli/command.ts";

/** What a command left behind. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

// A tuning of the user's would change what tests measure.
process.env.ATTNSCOPE_TUNING = "off";

/** Runs a command in this process, as the command line does. */
export async function runCommand(t: TestContext, command: Command, args: readonly string[]): Promise<Outcome> {
  const printed = { stdout: "", stderr: "" };
  const mocks = (["stdout", "stderr"] as const).map((name) => {
    const write = process[name].write.bind(process[name]) as (chunk: string | Uint8Array) => boolean;
    // The test runner's own reports are bytes.
    return t.mock.method(process[name], "write", (chunk: string | Uint8Array) => (typeof chunk === "string" ? (printed[name] += chunk) !== "" : write(chunk)));
  });
  for (const each of [command, ...command.commands]) each.exitOverride();
  let code = 0;
  const { exitCode } = process; // the test runner's
  process.exitCode = 0;
  try {
    await command.parseAsync(args, { from: "user" });
    code = Number(process.exitCode);
  } catch (error) {
    code = reportError(error);
  } finally {
    for (const { mock } of mocks) mock.restore();
    process.exitCode = exitCode;
    process.removeAllListeners("SIGINT");
    process.removeAllListeners("SIGTERM");
  }
  return { code, ...printed };
}
