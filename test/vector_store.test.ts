import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DiskVectorStore } from "../src/vector_store_node.ts";
import { temporaryFolder } from "./cli_process.ts";

const maps = (seed: number, length = 1000) => Float32Array.from({ length }, (_, i) => Math.sin(seed + i));
const pathOf = (folder: string, key: string) => join(folder, `${createHash("sha256").update(key).digest("hex")}.f32`);

test("what one store keeps, another reads", async () => {
  const folder = join(temporaryFolder(), "not", "there", "yet");
  await new DiskVectorStore(folder).put("a key", maps(1));
  assert.deepEqual(await new DiskVectorStore(folder).get("a key"), maps(1));
  assert.equal(await new DiskVectorStore(folder).get("another key"), undefined);
  assert.equal(await new DiskVectorStore(folder, { version: "2" }).get("a key"), undefined);
  assert.equal(readdirSync(folder).length, 1);
});

for (const [name, damage] of [
  ["truncated", (bytes: Buffer) => bytes.subarray(0, 500)],
  ["empty", (bytes: Buffer) => bytes.subarray(0, 0)],
  ["altered", (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 99), Buffer.from([bytes[99] ^ 1]), bytes.subarray(100)])],
] as const) {
  test(`a file that is ${name} counts as absent and is written anew`, async () => {
    const folder = temporaryFolder();
    await new DiskVectorStore(folder).put("a key", maps(1));
    const path = pathOf(folder, "a key");
    writeFileSync(path, damage(readFileSync(path)));
    const store = new DiskVectorStore(folder);
    assert.equal(await store.get("a key"), undefined);
    await store.put("a key", maps(1));
    assert.deepEqual(await new DiskVectorStore(folder).get("a key"), maps(1));
  });
}

test("the least recently used files go when the folder grows beyond its limit", async () => {
  const folder = temporaryFolder();
  const limitBytes = 3 * (4000 + 32);
  const first = new DiskVectorStore(folder, { limitBytes });
  for (const [age, key] of ["old", "older", "oldest"].entries()) {
    await first.put(key, maps(age));
    utimesSync(pathOf(folder, key), 1000 - age, 1000 - age);
  }
  const second = new DiskVectorStore(folder, { limitBytes });
  assert.deepEqual(await second.get("oldest"), maps(2)); // now the one that was used last
  await second.put("new", maps(3));
  const kept = new DiskVectorStore(folder, { limitBytes });
  assert.deepEqual(await kept.get("new"), maps(3));
  assert.deepEqual(await kept.get("oldest"), maps(2));
  assert.deepEqual(await kept.get("old"), maps(0));
  assert.equal(await kept.get("older"), undefined);
});

test("maps larger than the limit are kept in memory alone", async () => {
  const folder = temporaryFolder();
  const store = new DiskVectorStore(folder, { limitBytes: 100 });
  await store.put("a key", maps(1));
  assert.deepEqual(await store.get("a key"), maps(1));
  assert.deepEqual(readdirSync(folder), []);
});

test("a folder that cannot be written is reported once, and the maps stay in memory", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "file");
  writeFileSync(file, "");
  const reasons: string[] = [];
  const store = new DiskVectorStore(join(file, "below"), { onUnwritable: (reason) => reasons.push(reason) });
  await store.put("a key", maps(1));
  await store.put("another", maps(2));
  assert.deepEqual(await store.get("another"), maps(2));
  assert.equal(reasons.length, 1);
  assert.match(reasons[0], /cannot be written/);
});
