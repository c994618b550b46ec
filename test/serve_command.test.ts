import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { packageRoot, shippedModel } from "../src/cli/package.ts";
import { serveCommand } from "../src/cli/serve.ts";
import { createGroundService } from "../src/cli/serve_ground.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { loadPipeline } from "../src/node.ts";
import type { ResultRecord } from "../src/report/result_record.ts";
import { needsBuild } from "./browser/files.ts";
import { samples, temporaryFolder } from "./cli_process.ts";
import { runCommand } from "./run_command.ts";

describe("a request to ground", () => {
  const film = join(samples, "film_05.png");
  const service = createGroundService({ dtype: "f32", cache: false, out: "" });
  after(() => service.close());
  const ground = (query: string) => service.ground(readFileSync(film), new URLSearchParams(query), new AbortController().signal);

  test("with settings that cannot be used is refused in a sentence", async () => {
    const refused = {
      "layers=1,,2": 'layers: "1,,2" cannot be used. Give all, or numbers such as 0,3.',
      "layers=": 'layers: "" cannot be used. Give all, or numbers such as 0,3.',
      "seed=": 'seed: "" cannot be used. It is not a number.',
      "steps=ten": 'steps: "ten" cannot be used. It is not a number.',
      "steps=0": "--steps: 0 is not an integer from 1 to 1000",
      "mode=fast": '--mode: "fast" is not one of gt, gt1, cfg, text',
    };
    for (const [query, message] of Object.entries(refused)) await assert.rejects(ground(`phrase=effusion&${query}`), { name: "InputError", message });
    await assert.rejects(ground("phrase=+"), { name: "InputError", message: "phrase: is empty; say what to look for" });
  });

  test("tells the bytes that the device held meanwhile, free ones included", async () => {
    const { run, mapValues } = (await ground("phrase=effusion&steps=2&lastSteps=2")) as ResultRecord & { mapValues: number[] };
    const gpu = await testGpu();
    const pipeline = await loadPipeline(gpu, shippedModel);
    gpu.resetPeak();
    const { map } = await pipeline.ground(await readFilm(film), "effusion", { steps: 2, lastSteps: 2 });
    const { peak, peakHeld } = gpu.memory();
    pipeline.free();
    assert.ok(peakHeld > peak);
    assert.equal(run.gpuBytesPeak, peakHeld);
    assert.deepEqual(mapValues, [...map]);
  });
});

describe("attnscope serve", () => {
  test("does not tell in its help where the package lies", () => {
    assert.ok(!serveCommand().helpInformation().replaceAll(/\s+/g, "").includes(packageRoot.replaceAll(/\s+/g, "")));
  });

  describe("--write", needsBuild, () => {
    const write = (t: Parameters<typeof runCommand>[0], folder: string, ...more: string[]) => runCommand(t, serveCommand(), ["--write", folder, ...more]);

    test("makes a folder for any host of static files, and says where", async (t) => {
      const folder = join(temporaryFolder(), "a", "site");
      assert.deepEqual(await write(t, folder), { code: 0, stdout: `${join(folder, "index.html")}\n`, stderr: "" });
      for (const file of ["index.html", "page.js", "worker_host.js", "model/model_index.json"]) assert.ok(existsSync(join(folder, file)), file);
      assert.deepEqual(JSON.parse((await write(t, folder, "--json")).stdout), { page: join(folder, "index.html") });
    });

    test("says in a line what is in the way", async (t) => {
      const file = join(temporaryFolder(), "file");
      writeFileSync(file, "");
      assert.deepEqual(await write(t, file), { code: 2, stdout: "", stderr: `attnscope: ${file}: is a file, not a folder; choose another place\n` });
      const below = join(file, "site");
      assert.deepEqual(await write(t, below), { code: 2, stdout: "", stderr: `attnscope: ${below}: cannot be written (ENOTDIR); choose a place that can be written\n` });
      const site = temporaryFolder();
      writeFileSync(join(site, "model"), "");
      assert.match((await write(t, site)).stderr, /^attnscope: .*model: cannot be written \(.*\); choose a place that can be written\n$/);
    });
  });
});
