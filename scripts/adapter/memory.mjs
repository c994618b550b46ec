// @ts-check
/** What the set-up remembers of the adapter it found (`.attnscope/gpu.json`), and what a start makes of it. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { writeWhole } from "../stamps.mjs";

/** Variables by which a user names Vulkan drivers; the loader heeds the second before the first. */
const DRIVER_VARIABLES = /** @type {const} */ (["VK_ICD_FILENAMES", "VK_DRIVER_FILES"]);

/** Where Linux keeps the manifests of installed Vulkan drivers. */
const DRIVER_FOLDERS = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/**
 * The circumstances that decide which adapter Dawn finds.
 * @typedef {object} Circumstances
 * @property {Record<string, string | null>} variables the user's own choice of drivers
 * @property {(number | null)[]} folders when each folder of driver manifests last changed (ms), null where absent
 */

/**
 * @typedef {object} AdapterMemory
 * @property {"present" | import("./machine.mjs").Way} way
 * @property {string} adapter as Dawn describes it
 * @property {Record<string, string>} env variables a process needs from its start to find the adapter
 * @property {Circumstances} under
 */

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Circumstances}
 */
export function circumstances(env) {
  return {
    variables: driverVariables(env),
    folders: DRIVER_FOLDERS.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null),
  };
}

/** @param {NodeJS.ProcessEnv} env */
function driverVariables(env) {
  return Object.fromEntries(DRIVER_VARIABLES.map((name) => [name, env[name] ?? null]));
}

/**
 * Whether the adapter need not be looked for again: same drivers installed, same ones asked for, needed files there.
 * @param {AdapterMemory} memory
 * @param {Circumstances} now
 */
export function stillHolds(memory, now) {
  const files = DRIVER_VARIABLES.flatMap((name) => memory.env[name] ?? []);
  return JSON.stringify(memory.under) === JSON.stringify(now) && files.every((path) => existsSync(path));
}

/**
 * The whole environment in which a process finds the remembered adapter, or undefined where `env` will do: nothing is
 * needed, the process has it already, or the user names other drivers than when the adapter was looked for.
 * @param {AdapterMemory | undefined} memory
 * @param {NodeJS.ProcessEnv} env
 * @returns {NodeJS.ProcessEnv | undefined}
 */
export function environmentToStartWith(memory, env) {
  if (!memory || Object.keys(memory.env).length === 0) return undefined;
  if (JSON.stringify(driverVariables(env)) !== JSON.stringify(memory.under.variables)) return undefined;
  return withAdapter(env, memory.env);
}

/**
 * `env` with an adapter's variables; library folders go before the ones already named.
 * @param {NodeJS.ProcessEnv} env
 * @param {Record<string, string>} added
 * @returns {NodeJS.ProcessEnv}
 */
export function withAdapter(env, added) {
  const { LD_LIBRARY_PATH: folder, ...others } = added;
  if (!folder) return { ...env, ...others };
  return { ...env, ...others, LD_LIBRARY_PATH: [folder, env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter) };
}

/** @param {string} root the package's folder */
const memoryPath = (root) => join(root, ".attnscope", "gpu.json");

/**
 * @param {string} root the package's folder
 * @returns {AdapterMemory | undefined} undefined where there is none that can be used
 */
export function readMemory(root) {
  if (!existsSync(memoryPath(root))) return undefined;
  try {
    const memory = JSON.parse(readFileSync(memoryPath(root), "utf8"));
    return memory?.env && memory.under?.variables ? memory : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * @param {string} root the package's folder
 * @param {AdapterMemory} memory
 */
export function writeMemory(root, memory) {
  writeWhole(memoryPath(root), `${JSON.stringify(memory, null, 2)}\n`);
}
