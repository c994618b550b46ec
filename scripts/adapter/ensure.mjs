// @ts-check
/** Finds an adapter that Dawn accepts, installs a software one where there is none, and remembers the outcome. */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Interrupted, messageOf, runStep, say, Stop } from "../process.mjs";
import { installLavapipe } from "./lavapipe.mjs";
import { adapterAdvice, describeMachine, waysToAdapter } from "./machine.mjs";
import { circumstances, readMemory, stillHolds, withAdapter, writeMemory } from "./memory.mjs";
import { installSwiftShader } from "./swiftshader.mjs";

/** @typedef {import("./memory.mjs").AdapterMemory} AdapterMemory */
/** @typedef {import("./machine.mjs").Machine} Machine */

const root = fileURLToPath(new URL("../..", import.meta.url));
const probeScript = fileURLToPath(new URL("probe.mjs", import.meta.url));
const setupScript = relative(process.cwd(), fileURLToPath(new URL("../setup.mjs", import.meta.url)));
const DEVICE_FAILED = 3;

/**
 * Opens Dawn's adapter in a child process.
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ adapter: string } | { reason: string }>}
 */
async function probe(env) {
  try {
    const printed = await runStep(process.execPath, [probeScript], { env, cwd: root, timeout: 60_000 });
    return JSON.parse(printed.trim().split("\n").at(-1) ?? "");
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    return { reason: messageOf(error) };
  }
}

/**
 * An adapter that Dawn accepts as the machine is, or else the first software adapter that can be installed.
 * @param {{ again?: boolean }} [options] again: look even where the remembered adapter still holds
 * @returns {Promise<AdapterMemory>}
 * @throws {Stop} with the command to type where there is none and none can be installed
 */
export async function ensureAdapter({ again = false } = {}) {
  const remembered = readMemory(root);
  if (remembered && !again && stillHolds(remembered, circumstances(process.env))) return remembered;
  say("looking for a GPU adapter");
  const machine = describeMachine();
  const found = await findPresent() ?? await installOne(machine);
  if (!found) {
    throw new Stop(`there is no GPU adapter that Dawn accepts: ${adapterAdvice(machine, setupScript)}`, DEVICE_FAILED);
  }
  const memory = { ...found, under: circumstances(process.env) };
  writeMemory(root, memory);
  say(`adapter: ${memory.adapter}`);
  if (memory.way === "swiftshader") say(`SwiftShader is slow. For a faster adapter: ${adapterAdvice(machine, setupScript)}`);
  return memory;
}

/** @returns {Promise<Omit<AdapterMemory, "under"> | undefined>} */
async function findPresent() {
  const result = await probe(process.env);
  if ("adapter" in result) return { way: "present", adapter: result.adapter, env: {} };
  say(result.reason);
  return undefined;
}

/**
 * @param {Machine} machine
 * @returns {Promise<Omit<AdapterMemory, "under"> | undefined>}
 */
async function installOne(machine) {
  const install = {
    lavapipe: async () => { await installLavapipe(machine.codename, say); return {}; },
    swiftshader: () => installSwiftShader(join(root, ".attnscope", "swiftshader"), say),
  };
  for (const way of waysToAdapter(machine)) {
    try {
      const env = await install[way]();
      const result = await probe(withAdapter(process.env, env));
      if ("adapter" in result) return { way, adapter: result.adapter, env };
      say(`${way} is installed, but: ${result.reason}`);
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      say(`${way} could not be installed: ${messageOf(error)}`);
    }
  }
  return undefined;
}
