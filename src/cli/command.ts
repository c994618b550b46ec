import { Command, CommanderError } from "commander";
import { AttnscopeError, DeviceError, TrainingError } from "../errors.ts";

/** Exit codes of every command. A training that failed ends like a check that did. */
export const exitCodes = { done: 0, checkFailed: 1, badInput: 2, deviceFailed: 3, defect: 4, interrupted: 130 } as const;

/** What they mean, for people. */
export const exitCodeHelp = "Exit codes: 0 done, 1 a check or a training failed, 2 bad input, 3 the device failed, 4 a defect of attnscope, 130 interrupted.";

/** Ends a command with "a check failed" after its report was printed. */
export class CheckFailed extends Error {
  override name = "CheckFailed";
}

/** A command with the conventions of all: `--json`, an example in its help, errors in one line. */
export function createCommand(name: string, description: string, example: string): Command {
  return new Command(name)
    .description(description)
    .option("--json", "print one machine-readable object on stdout and nothing else")
    .addHelpText("after", `\nExample:\n  $ attnscope ${example}`)
    .configureHelp({ showGlobalOptions: true });
}

/**
 * Prints for people on stderr: progress, logs, tables. stdout is for results. (Dawn's native code prints two lines about
 * maxDynamic…Buffers on stderr when it looks for an adapter; a process cannot hold back its own libraries.)
 */
export function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** One object on stdout. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** The exit code of an error, after it was printed in one line. Unknown errors keep their stack: they are defects. */
export function reportError(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.badInput;
  if (error instanceof CheckFailed) return exitCodes.checkFailed;
  if (error instanceof Error && error.name === "AbortError") {
    log("interrupted; what was finished is kept");
    return exitCodes.interrupted;
  }
  if (error instanceof AttnscopeError) {
    log(`attnscope: ${error.message.replaceAll("\n", " ")}`);
    if (error instanceof TrainingError) return exitCodes.checkFailed;
    return error instanceof DeviceError ? exitCodes.deviceFailed : exitCodes.badInput;
  }
  log(`attnscope: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return exitCodes.defect;
}

/** A signal that SIGINT and SIGTERM abort; a second one ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return controller.signal;
}
