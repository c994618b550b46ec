// @ts-check
/** Child processes: steps that stay quiet while they succeed, and programs that take over the terminal. */
import { spawn } from "node:child_process";
import { constants } from "node:os";

/** @typedef {import("node:child_process").ChildProcess} ChildProcess */

const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/** Ends the program with one message and an exit code. */
export class Stop extends Error {
  /**
   * @param {string} message
   * @param {number} exitCode
   */
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A signal asked the program to end: everything that waits for a step gives up. */
export class Interrupted extends Stop {
  /** @param {NodeJS.Signals} signal */
  constructor(signal) {
    super(`interrupted by ${signal}`, exitCodeOf(signal));
  }
}

/**
 * The exit code by which a shell reports a signal, 130 for Ctrl-C.
 * @param {NodeJS.Signals} signal
 */
const exitCodeOf = (signal) => 128 + constants.signals[signal];

/**
 * Says on stderr what the set-up does.
 * @param {string} line
 */
export const say = (line) => console.error(`set-up: ${line}`);

/**
 * @param {unknown} error
 * @returns {string}
 */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * Waits for a child's end; meanwhile this process outlives signals and passes them on, so that an interrupted child
 * can tidy up and its exit code is the one the caller sees.
 * @param {ChildProcess} child
 * @param {(signal: NodeJS.Signals) => void} [passOn]
 * @returns {Promise<{ code: number, signal: NodeJS.Signals | null, received: NodeJS.Signals | undefined }>} code as a shell
 *   counts it; the signal that ended the child; the signal that reached this process
 */
function ended(child, passOn = (signal) => relay(child, signal)) {
  /** @type {NodeJS.Signals | undefined} */
  let received;
  const listeners = SIGNALS.map((signal) => {
    const listener = () => {
      received = signal;
      passOn(signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return new Promise((resolve, reject) => {
    const restore = () => listeners.forEach(({ signal, listener }) => process.off(signal, listener));
    child.on("error", (error) => { restore(); reject(error); });
    child.on("close", (code, signal) => {
      restore();
      resolve({ code: signal ? exitCodeOf(signal) : code ?? 1, signal, received });
    });
  });
}

/**
 * @param {ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function relay(child, signal) {
  const inTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  // A terminal sends Ctrl-C to the child too; a second one could mean "at once" to it.
  if (!(signal === "SIGINT" && inTerminal)) child.kill(signal);
}

/**
 * Runs a command to its end and returns what it printed on stdout.
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, timeout: number, indivisible?: boolean }} options timeout in
 *   milliseconds; indivisible: signals take effect after the command's end only
 * @returns {Promise<string>}
 * @throws {Error} with the command and the last lines of its output when it fails or runs out of time,
 *   {@link Interrupted} when a signal asked this process to end meanwhile
 */
export async function runStep(command, args, { env = process.env, cwd, timeout, indivisible = false }) {
  // Detached, the child is out of reach of the terminal's Ctrl-C.
  const child = spawn(command, args, { env, cwd, timeout, detached: indivisible, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let output = "";
  child.stdout.on("data", (chunk) => { stdout += chunk; output += chunk; });
  child.stderr.on("data", (chunk) => { output += chunk; });
  const { code, signal, received } = await ended(child, indivisible ? () => say(`finishing ${command} first`) : undefined);
  if (received) throw new Interrupted(received);
  if (code === 0) return stdout;
  const how = signal ? `was stopped by ${signal} (limit ${timeout / 1000} s)` : `failed with exit code ${code}`;
  const tail = output.trim().split("\n").slice(-20).join("\n  ");
  throw new Error(`${[command, ...args].join(" ")} ${how}${tail ? `:\n  ${tail}` : ""}`);
}

/**
 * Hands the terminal to a command and returns its exit code (128 + n where signal n ended it).
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, stdin?: "inherit" | "ignore" }} [options]
 * @returns {Promise<number>}
 */
export async function handOver(command, args, { env = process.env, cwd, stdin = "inherit" } = {}) {
  const child = spawn(command, args, { env, cwd, stdio: [stdin, "inherit", "inherit"] });
  return (await ended(child)).code;
}

/** The command that runs npm: the very npm that started this process, where one did. */
export function npmCommand() {
  const script = process.env.npm_execpath;
  return script?.endsWith("npm-cli.js") ? [process.execPath, script] : ["npm"];
}

/**
 * Runs a program and sets this process's exit code to what it returns, or to that of the error it throws (1 unless it
 * is a {@link Stop}), with the error's message.
 * @param {() => Promise<number>} program
 */
export async function endWith(program) {
  try {
    process.exitCode = await program();
  } catch (error) {
    say(messageOf(error));
    process.exitCode = error instanceof Stop ? error.exitCode : 1;
  }
}
