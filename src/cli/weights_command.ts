import type { Command } from "commander";
import { createCommand } from "./command.ts";

export function weightsCommand(): Command {
  return createCommand("weights", "fetch, convert and inspect checkpoints", "weights inspect weights/phantom");
}
