import type { Command } from "commander";
import { createCommand } from "./command.ts";

export function doctorCommand(): Command {
  return createCommand("doctor", "what this machine's GPU can do, and what to install where something is missing", "doctor");
}
