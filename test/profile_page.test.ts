import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { compareProfiles } from "../src/profile/compare.ts";
import { comparisonPage } from "../src/profile/comparison_page.ts";
import { comparisonTable } from "../src/profile/comparison_table.ts";
import { profilePage } from "../src/profile/page.ts";
import { parseSavedProfile } from "../src/profile/saved_profile.ts";
import { profileTable } from "../src/profile/table.ts";
import { runCli, temporaryFolder } from "./cli_process.ts";
import { row, savedProfile } from "./profile_rows.ts";

/** Kernels of three calls each; `slower` takes the kernel's times longer by this factor. */
function rowsOf(slower: Record<string, number> = {}) {
  return ["matmul/a", "conv/b", "norm/c", "attention/d", "pointwise/e"].flatMap((kernel, k) => {
    const factor = slower[kernel] ?? 1;
    return [1, 1.02, 0.98].map((ms, i) => row({ kernel, scope: `unet/block.${k}`, ms: ms * (k + 1) * factor, startMs: 20 * k + 6 * i }));
  });
}

/** Numbers that went wrong on the way to a page, its script left out. */
const brokenNumbers = (page: string) => page.replace(/<script>.*<\/script>/s, "").match(/NaN|undefined|Infinity/g);

describe("the page of a profile", () => {
  const page = profilePage(savedProfile(rowsOf()));

  test("is one file: nothing is fetched", () => {
    assert.doesNotMatch(page, /<(script|link|img)[^>]+(src|href)=|url\((?!#)|@import/);
  });

  test("holds frames, points, tables, sources, and escapes text", () => {
    assert.equal([...page.matchAll(/data-depth="3"/g)].length, 5, "a frame a kernel");
    assert.equal([...page.matchAll(/<circle /g)].length, 5);
    assert.match(page, /a &lt;model&gt;/);
    assert.match(page, /a &lt; b &amp;&amp; c/);
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(page.includes(`id="${id}"`), `#${id} leads somewhere`);
    assert.match(page, /Timestamps are rounded\./);
    assert.equal(brokenNumbers(page), null);
  });

  test("names what ops chose between kernels, and the terminal too", () => {
    const choice = { op: "linear", shapeClass: "4096 x 512 x 2048", variant: "vector" } as const;
    const profile = savedProfile([row({ kernel: "matmul/matmul_vector", choice }), row({ kernel: "matmul/matmul_vector", choice }), ...rowsOf()]);
    assert.match(profilePage(profile), /Choices between kernels.*linear <span class="variant">4096 x 512 x 2048<\/span><\/td><td>vector<\/td><td class="number" data-value="2"/s);
    assert.match(profileTable(profile), /^linear +4096 x 512 x 2048 +vector +2 /m);
    assert.doesNotMatch(page, /Choices between kernels/);
  });

  test("says what it can without times", () => {
    const untimed = savedProfile(rowsOf().map((of) => ({ ...of, ms: 0, gflops: 0, gbps: 0 })));
    const text = profilePage(untimed);
    assert.equal(brokenNumbers(text), null);
    assert.doesNotMatch(text, /class="flame"/);
    assert.match(profileTable(untimed), /matmul\/a +T=f32 +3 +–/);
  });
});

test("the terminal's table has every kernel with its numbers", () => {
  const table = profileTable(savedProfile(rowsOf()));
  assert.match(table, /pointwise\/e +T=f32 +3 +15\.0 +33 % +5\.00 +1\.00/);
  assert.match(table, /block\.4/);
});

describe("a comparison", () => {
  const verdicts = (slower: Record<string, number>) => Object.fromEntries(compareProfiles(savedProfile(rowsOf()), savedProfile(rowsOf(slower)), ["a", "b"]).kernels.map(({ name, verdict }) => [name, verdict]));
  const same = { "matmul/a": "same", "conv/b": "same", "norm/c": "same", "attention/d": "same", "pointwise/e": "same" };

  test("finds the kernel that changed", () => {
    assert.deepEqual(verdicts({}), same);
    assert.deepEqual(verdicts({ "conv/b": 1.5 }), { ...same, "conv/b": "slower" });
    assert.deepEqual(verdicts({ "conv/b": 0.6 }), { ...same, "conv/b": "faster" });
  });

  test("does not take the machine for the code", () => {
    const slow = { "matmul/a": 1.4, "conv/b": 1.45, "norm/c": 1.5, "attention/d": 1.55, "pointwise/e": 1.6 };
    assert.deepEqual(verdicts(slow), same);
    assert.deepEqual(verdicts({ ...slow, "norm/c": 3 }), { ...same, "norm/c": "slower" });
  });

  test("tells new and gone kernels, other sources and other settings", () => {
    const after = savedProfile([...rowsOf().filter(({ kernel }) => kernel !== "conv/b"), row({ kernel: "conv/new" })], { steps: 3 });
    after.wgsl = after.wgsl.map((code) => code.replace("norm/c", "norm/c, mended"));
    const { kernels, notes } = compareProfiles(savedProfile(rowsOf()), after, ["a", "b"]);
    const found = (name: string) => kernels.find((of) => of.name === name);
    assert.deepEqual([found("conv/b")?.verdict, found("conv/new")?.verdict, found("norm/c")?.sourceChanged, found("matmul/a")?.sourceChanged], ["gone", "new", true, false]);
    assert.deepEqual(notes, ["steps differs: 2 before, 3 after"]);
  });

  test("is shown in a table and on a page", () => {
    const comparison = compareProfiles(savedProfile(rowsOf()), savedProfile(rowsOf({ "conv/b": 2 })), ["a.json", "b.json"]);
    assert.match(comparisonTable(comparison), /conv\/b +3 +3 +6\.00 +12\.0 +\+6\.00 .*\+100 % .*slower/);
    assert.match(comparisonPage(comparison), /class="number worse" data-value="6">\+6\.00/);
    assert.equal(brokenNumbers(comparisonPage(comparison)), null);
  });
});

describe("attnscope profile", () => {
  test("refuses files that are no profiles", async () => {
    assert.throws(() => parseSavedProfile("x.json", "{}"), /x\.json: is not an "attnscope profile 1"/);
    assert.throws(() => parseSavedProfile("x.json", "{"), /x\.json: is not JSON/);
    const { code, stderr } = await runCli(["profile", "compare", "no.json", "no.json"], { cache: temporaryFolder() });
    assert.deepEqual([code, stderr], [2, "attnscope: no.json: cannot be read (ENOENT); check the path\n"]);
  });

  test("profiles the text encoder, and compares the profile with itself", async () => {
    const folder = temporaryFolder();
    const [html, trace, saved] = ["page.html", "trace.json", "saved.json"].map((name) => join(folder, name));
    const { code, stdout, stderr } = await runCli(["profile", "--what", "text", "--steps", "2", "--json", "--html", html, "--trace", trace], { cache: folder });
    assert.equal(code, 0, stderr);
    const profile = parseSavedProfile("stdout", stdout);
    assert.ok(profile.kernels.some(({ kernel }) => kernel.startsWith("matmul/")) && profile.scopes.some(({ scope }) => scope === "text/bert"));
    writeFileSync(saved, stdout);
    const compared = await runCli(["profile", "compare", saved, saved, "--json"], { cache: folder });
    const verdicts = new Set(JSON.parse(compared.stdout).kernels.map(({ verdict }: { verdict: string }) => verdict));
    assert.deepEqual([compared.code, [...verdicts]], [0, ["same"]]);
  });
});
