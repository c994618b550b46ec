import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runCli, samples, temporaryFolder } from "./cli_process.ts";

/** A folder of shipped films, by the numbers in their names. */
function films(...numbers: string[]): string {
  const folder = temporaryFolder();
  for (const number of numbers) copyFileSync(join(samples, `film_${number}.png`), join(folder, `film_${number}.png`));
  return folder;
}

const quality = (...args: string[]) => runCli(["quality", ...args], { cache: temporaryFolder() });

describe("quality", () => {
  test("compares the images of each folder, and prints one object", async () => {
    const [real, fake] = [films("00", "01"), films("02", "03", "04")];
    const { code, stdout } = await quality("--real", real, "--fake", fake, "--pairs", "1", "--seed", "3", "--json");
    assert.equal(code, 0);
    const report = JSON.parse(stdout);
    assert.deepEqual(report.real, { folder: real, images: 2, leftOut: [] });
    assert.deepEqual(report.distances, {});
    assert.equal(report.msSsim.fake.pairs, 1);
    assert.ok(report.msSsim.real.mean > 0 && report.msSsim.real.mean < 1);
  });

  test("images by prompt are compared within their folders; one that cannot be read is left out", async () => {
    const fake = temporaryFolder();
    for (const [prompt, number] of [["a", "02"], ["a", "03"], ["b", "04"]]) {
      mkdirSync(join(fake, prompt), { recursive: true });
      copyFileSync(join(samples, `film_${number}.png`), join(fake, prompt, `${number}.png`));
    }
    writeFileSync(join(fake, "b", "broken.png"), "no image");
    const { code, stdout, stderr } = await quality("--real", films("00", "01"), "--fake", fake, "--skip-share", "0.5");
    assert.equal(code, 0);
    assert.match(stderr, /broken\.png: is not a PNG.*left out/);
    assert.match(stdout, /images +2 real, 3 generated/);
    assert.match(stdout, /MS-SSIM fake +0\.\d{3} \(1 pair\)/);
  });

  for (const [what, args, message] of [
    ["a folder that is not there", ["--real", "nowhere", "--fake", samples], /nowhere: is not a folder that can be read/],
    ["nothing to compute", ["--real", samples, "--fake", samples, "--pairs", "0"], /--pairs: is 0 and no weights are given/],
    ["weights that are not there", ["--real", samples, "--fake", samples, "--pairs", "0", "--xrv", "nowhere.pt"], /nowhere\.pt: no such file/],
    ["half a pair", ["--real", samples, "--fake", samples, "--pairs", "0.5"], /not a whole number/],
  ] as const) {
    test(`${what} ends with one line and code 2`, async () => {
      const { code, stdout, stderr } = await quality(...args);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, message);
    });
  }

  test("a folder without images, or with too many broken ones, is refused", async () => {
    const empty = await quality("--real", temporaryFolder(), "--fake", samples);
    assert.equal(empty.code, 2);
    assert.match(empty.stderr, /holds no PNG, JPEG or DICOM file/);
    const broken = films("00", "01");
    writeFileSync(join(broken, "broken.png"), "no image");
    const refused = await quality("--real", broken, "--fake", samples);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /more than the 0 of 3 images that --skip-share allows/);
  });
});
