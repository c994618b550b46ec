import type { Command } from "commander";
import { createCommand } from "./command.ts";

export function verifyCommand(): Command {
  return createCommand("verify", "compare this device and driver with goldens", "verify goldens");
}
