#!/usr/bin/env node
// @ts-check
// `npx attnscope`: the command line of dist/, started so that it finds the adapter the set-up found.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { environmentToStartWith, readMemory } from "../scripts/adapter/memory.mjs";
import { handOver } from "../scripts/process.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = new URL("../dist/cli.js", import.meta.url);
const env = environmentToStartWith(readMemory(root), process.env);

if (!existsSync(cli)) {
  console.error(`attnscope: ${fileURLToPath(cli)} is missing: type "npm start" or "npm run build" in ${root} first`);
  process.exitCode = 2;
} else if (env) {
  const self = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  process.exitCode = await handOver(process.execPath, self, { env });
} else {
  await import(cli.href);
}
