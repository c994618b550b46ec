import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { needsBuild } from "./browser/files.ts";

const example = fileURLToPath(new URL("../examples/node/ground.mjs", import.meta.url));

test("the example for Node finds the effusion of the shipped film", needsBuild, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [example]);
  const { phrase, peak, regions } = JSON.parse(stdout);
  assert.equal(phrase, "moderate pleural effusion on the left");
  // The box of films.json: 81, 70, 29 x 32 of 128 pixels.
  assert.ok(peak.x >= 80 / 128 && peak.x <= 111 / 128 && peak.y >= 69 / 128 && peak.y <= 103 / 128, JSON.stringify(peak));
  assert.ok(regions.length > 0);
});
