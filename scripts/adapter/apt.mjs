// @ts-check
/** Installs packages of Debian and Ubuntu; needs root. */
import { Interrupted, messageOf, runStep } from "../process.mjs";

const MINUTE = 60_000;
const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
const PATIENCE = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=2"];

/**
 * @param {string[]} args
 * @param {boolean} [indivisible] signals take effect after the command's end only
 */
function aptGet(args, indivisible) {
  return runStep("apt-get", ["-qq", ...PATIENCE, ...args], { env, timeout: 10 * MINUTE, indivisible });
}

/** Completes an installation that was cut off earlier: until then apt-get refuses all work. */
export function repairPackages() {
  return runStep("dpkg", ["--configure", "-a"], { env, timeout: 5 * MINUTE, indivisible: true });
}

/**
 * Fetches apt's lists and installs packages.
 * @param {string[]} packages
 * @param {{ suite?: string, say: (line: string) => void }} options suite: where to take them from
 */
export async function installPackages(packages, { suite, say }) {
  const install = ["install", "--yes", "--no-install-recommends", ...(suite ? ["-t", suite] : []), ...packages];
  await updateLists(say);
  await aptGet([...install, "--download-only"]);
  await aptGet(install, true);
}

/**
 * A list that cannot be had is told and no more: whether it matters, the installation shows.
 * @param {(line: string) => void} say
 */
async function updateLists(say) {
  try {
    await aptGet(["-o", "APT::Update::Error-Mode=any", "update"]);
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    say(messageOf(error));
  }
}
