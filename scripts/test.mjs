// @ts-check
/**
 * Runs a set of tests with Node's test runner and ends with its exit code.
 *   node scripts/test.mjs fast   test/ and shaders-test/
 *   node scripts/test.mjs full   test-full/: the full-size architectures
 */
import { fileURLToPath } from "node:url";
import { endWith, handOver, Stop } from "./process.mjs";
import { filesBelow } from "./stamps.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const MINUTE = 60_000;

/** @type {Record<string, { folders: string[], limit: number }>} folders, and the longest a test file may take (ms) */
const sets = {
  fast: { folders: ["test", "shaders-test"], limit: 10 * MINUTE },
  full: { folders: ["test-full"], limit: 120 * MINUTE },
};

await endWith(async () => {
  const set = sets[process.argv[2] ?? ""];
  if (!set) throw new Stop(`usage: node scripts/test.mjs ${Object.keys(sets).join("|")}`, 2);
  const files = set.folders.flatMap((folder) => filesBelow(root, folder)).filter((path) => path.endsWith(".test.ts"));
  if (files.length === 0) throw new Stop(`no *.test.ts below ${set.folders.join(", ")}`, 1);
  const options = ["--import", "tsx", "--test", "--test-concurrency=2", `--test-timeout=${set.limit}`];
  // A tuning of the user's must not change what is tested.
  const env = { ...process.env, ATTNSCOPE_TUNING: "off" };
  return handOver(process.execPath, [...options, ...files], { cwd: root, env, stdin: "ignore" });
});
