import { Command } from "commander";
import { benchCommand } from "./bench.ts";
import { exitCodeHelp } from "./command.ts";
import { dataCommand } from "./data_command.ts";
import { doctorCommand } from "./doctor.ts";
import { evalCommand } from "./eval.ts";
import { generateCommand } from "./generate.ts";
import { groundCommand } from "./ground.ts";
import { version } from "./package.ts";
import { paperCommand } from "./paper.ts";
import { profileCommand } from "./profile.ts";
import { qualityCommand } from "./quality.ts";
import { serveCommand } from "./serve.ts";
import { startCommand } from "./start.ts";
import { sweepCommand } from "./sweep.ts";
import { trainCommand } from "./train.ts";
import { tuneCommand } from "./tune.ts";
import { verifyCommand } from "./verify.ts";
import { weightsCommand } from "./weights_command.ts";

/** The command line. */
export function createProgram(): Command {
  const program = new Command("attnscope")
    .description("Where in this image is what this phrase says?")
    .version(version)
    // Options behind the name of a command are its own, and of a subcommand likewise where that command says so.
    .enablePositionalOptions()
    .addHelpText("after", `\n${exitCodeHelp}`)
    .addHelpText("after", "\nExample:\n  $ attnscope ground film.png --phrase \"left pleural effusion\" --out maps");
  for (const command of [groundCommand(), evalCommand(), sweepCommand(), generateCommand(), paperCommand(), verifyCommand(), dataCommand(), trainCommand(), doctorCommand(), profileCommand(), tuneCommand(), benchCommand(), qualityCommand(), weightsCommand(), serveCommand()]) program.addCommand(command);
  program.addCommand(startCommand(), { hidden: true });
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) command.exitOverride();
  return program;
}
