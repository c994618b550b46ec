// @ts-check
/** What kind of machine this is, and how a machine of that kind comes by a GPU adapter. */
import { existsSync, readFileSync } from "node:fs";

/**
 * @typedef {object} Machine
 * @property {NodeJS.Platform} platform
 * @property {string} arch Node's name: "x64", "arm64", …
 * @property {boolean} root whether system packages can be installed
 * @property {boolean} apt whether apt-get is there
 * @property {string[]} distributions ID and ID_LIKE of os-release, e.g. ["ubuntu", "debian"]
 * @property {string | undefined} codename VERSION_CODENAME of os-release, e.g. "bookworm"
 */

/** @typedef {"lavapipe" | "swiftshader"} Way a software adapter that the set-up can install */

/** @returns {Machine} */
export function describeMachine() {
  const release = existsSync("/etc/os-release") ? parseRelease(readFileSync("/etc/os-release", "utf8")) : {};
  return {
    platform: process.platform,
    arch: process.arch,
    root: process.getuid?.() === 0,
    apt: existsSync("/usr/bin/apt-get"),
    distributions: `${release.ID ?? ""} ${release.ID_LIKE ?? ""}`.trim().split(/\s+/),
    codename: release.VERSION_CODENAME,
  };
}

/**
 * The variables of an os-release file (`NAME=value`, shell quoting).
 * @param {string} text
 * @returns {Record<string, string | undefined>}
 */
export function parseRelease(text) {
  const pairs = text.matchAll(/^([A-Z_]+)=(?:"([^"\n]*)"|'([^'\n]*)'|(\S*))$/gm);
  return Object.fromEntries([...pairs].map(([, name, double, single, bare]) => [name, double ?? single ?? bare]));
}

/**
 * The ways to a software adapter open to a machine where Dawn finds none, the fastest first.
 * @param {Machine} machine
 * @returns {Way[]}
 */
export function waysToAdapter(machine) {
  /** @type {Way[]} */
  const ways = [];
  if (aptServes(machine) && machine.root) ways.push("lavapipe");
  if (machine.platform === "linux" && machine.arch === "x64") ways.push("swiftshader");
  return ways;
}

/**
 * Whether apt-get serves a machine with Debian's or Ubuntu's packages.
 * @param {Machine} machine
 */
export function aptServes({ platform, apt, distributions }) {
  return platform === "linux" && apt && (distributions.includes("debian") || distributions.includes("ubuntu"));
}

/**
 * What to do for an adapter, or for a faster one than SwiftShader: one line with the command to type.
 * @param {Machine} machine
 * @param {string} setup path of scripts/setup.mjs as it should be typed
 * @returns {string}
 */
export function adapterAdvice(machine, setup) {
  const command = `node ${setup} --probe`;
  if (machine.platform !== "linux") return `install or update the graphics driver, then type: ${command}`;
  if (aptServes(machine)) {
    const sudo = machine.root ? "" : "sudo ";
    return `install the driver of the machine's GPU, or Mesa's lavapipe by typing: ${sudo}${command}`;
  }
  return "install the driver of the machine's GPU or Mesa's lavapipe (mesa-vulkan-drivers in most distributions), "
    + `then type: ${command}`;
}
