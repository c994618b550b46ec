// @ts-check
/** Sees to a Chromium for the tests. */
import { installPackages, repairPackages } from "../adapter/apt.mjs";
import { aptServes, describeMachine } from "../adapter/machine.mjs";
import { Interrupted, messageOf, say } from "../process.mjs";
import { findChromium } from "./find.mjs";

/** Installs Chromium where there is none and it can be had; where it cannot, the tests that need it say so and are skipped. */
export async function ensureChromium() {
  if (findChromium()) return;
  const machine = describeMachine();
  // Ubuntu's package of that name only asks for another packager.
  if (!machine.root || !aptServes(machine) || machine.distributions[0] !== "debian") return;
  try {
    say("installing Chromium with apt-get");
    await repairPackages();
    await installPackages(["chromium"], { say });
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    say(`Chromium could not be installed: ${messageOf(error)}`);
  }
}
