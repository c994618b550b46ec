// Where does the time of a grounding go? Type: node profile.mjs [TRACE]
import { chromeTrace, loadPipeline, openGpu, readFilm } from "attnscope";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const model = fileURLToPath(new URL("weights/phantom", import.meta.resolve("attnscope/package.json")));
const [trace] = process.argv.slice(2);

const gpu = await openGpu();
const pipeline = await loadPipeline(gpu, model);
const film = await readFilm(`${model}/samples/film_05.png`);
const profile = await gpu.profile(async () => {
  await pipeline.ground(film, "moderate pleural effusion on the left", { steps: 2, merge: "none" });
});

const byKernel = new Map();
for (const { kernel, ms } of profile.rows) byKernel.set(kernel, (byKernel.get(kernel) ?? 0) + ms);
const slowest = [...byKernel].sort(([, a], [, b]) => b - a).slice(0, 5);
for (const [kernel, ms] of slowest) console.log(`${kernel.padEnd(40)} ${ms.toFixed(2).padStart(8)} ms`);
if (trace) await writeFile(trace, chromeTrace(profile)); // for chrome://tracing or Perfetto
gpu.close();
