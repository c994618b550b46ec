import type { Command } from "commander";
import { createCommand } from "./command.ts";

export function groundCommand(): Command {
  return createCommand("ground", "maps, masks, boxes and pictures of where each phrase points", "ground film.png --phrase \"left pleural effusion\"");
}
