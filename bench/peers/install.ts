import { npmCommand, runStep } from "../../scripts/process.mjs";
import { peersAreInstalled, peersFolder } from "./packages.ts";

/** Half a gigabyte, mostly ONNX Runtime's builds for all platforms. */
const limitMs = 20 * 60_000;

/** Installs the peers where they are not, into their own node_modules. */
export async function ensurePeers(say: (line: string) => void): Promise<void> {
  if (peersAreInstalled()) return;
  say("installing the peers (npm ci in bench/peers)");
  const [npm, ...args] = npmCommand();
  // Their binaries are in the packages: install scripts would fetch others.
  await runStep(npm, [...args, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: peersFolder, timeout: limitMs });
}
