import { Command } from "commander";

/** What `npm start` runs once everything is set up. */
export function startCommand(): Command {
  return new Command("start");
}
