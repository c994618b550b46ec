import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { needsBuild } from "./browser/files.ts";
import { samples } from "./cli_process.ts";

/** Side of the shipped films in pixels. */
const SIDE = 128;
const example = fileURLToPath(new URL("../examples/node/ground.mjs", import.meta.url));

test("the example for Node finds the effusion of the shipped film", needsBuild, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [example]);
  const { phrase, peak, regions } = JSON.parse(stdout);
  assert.equal(phrase, "moderate pleural effusion on the left");
  const films: { image: string; boxes_xywh: number[][] }[] = JSON.parse(await readFile(join(samples, "films.json"), "utf8"));
  const [[x, y, width, height]] = films.find(({ image }) => image === "film_05.png")?.boxes_xywh ?? [[0, 0, 0, 0]];
  const inside = (at: number, from: number, size: number) => at >= from / SIDE && at <= (from + size) / SIDE;
  assert.ok(inside(peak.x, x, width) && inside(peak.y, y, height), JSON.stringify(peak));
  assert.ok(regions.length > 0);
});
