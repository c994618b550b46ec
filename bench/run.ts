// npm run bench -- [family …]: times the kernels of the families named, or of all.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const families = readdirSync(folder)
  .filter((file) => file.endsWith(".ts") && !["harness.ts", "run.ts"].includes(file))
  .map((file) => file.slice(0, -3));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !families.includes(name));
if (unknown.length > 0) {
  console.error(`bench: no family ${unknown.join(", ")}; there are ${families.join(", ")}`);
  process.exitCode = 2;
} else {
  for (const family of wanted.length > 0 ? wanted : families) {
    console.log(`\n# ${family}`);
    await import(`./${family}.ts`);
  }
}
