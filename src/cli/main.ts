import { reportError } from "./command.ts";
import { createProgram } from "./program.ts";

// A reader that has seen enough, such as head, closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

createProgram()
  .parseAsync()
  .catch((error) => {
    process.exitCode = reportError(error);
  });
