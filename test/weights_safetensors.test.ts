import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { InputError, WeightsError } from "../src/errors.ts";
import { writeFolderAtomically, writeSafetensorsFile } from "../src/weights/atomic_file_node.ts";
import { fileFolder } from "../src/weights/byte_source.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { findWeights, openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { writeSafetensors, type TensorOutput } from "../src/weights/safetensors_writer.ts";
import { needsShared, sharedPath } from "./shared.ts";
import { floats, openBytes, readAll, safetensorsFile, temporaryFolder } from "./weights_files.ts";

const good = { a: { dtype: "F32", shape: [2], data_offsets: [0, 8] }, b: { dtype: "F32", shape: [1], data_offsets: [8, 12] } };

test("a safetensors file is read by range", async () => {
  const checkpoint = await openBytes(safetensorsFile({ __metadata__: { format: "pt" }, ...good }, floats(1, 2, 3)));
  assert.equal(checkpoint.format, "safetensors");
  assert.deepEqual(checkpoint.metadata, { format: "pt" });
  const a = checkpoint.tensors.get("a")!;
  assert.deepEqual(a, { name: "a", dtype: "F32", shape: [2], byteLength: 8 });
  assert.deepEqual(await checkpoint.read(a, 4, 4), floats(2));
  const room = new Uint8Array(100);
  const view = await checkpoint.read(checkpoint.tensors.get("b")!, 0, 4, room);
  assert.equal(view.buffer, room.buffer);
  assert.deepEqual(view, floats(3));
  await assert.rejects(checkpoint.read(a, 4, 8), /asked for of tensor "a", which has 8/);
  await assert.rejects(checkpoint.read(a, -4, 4), WeightsError);
  await assert.rejects(checkpoint.read({ ...a }, 0, 4), /belongs to another checkpoint/);
  await assert.rejects(checkpoint.read(a, 0, 8, new Uint8Array(7)), /room for 7/);
});

test("tensors that are not aligned are read too", async () => {
  const header = { u: { dtype: "U8", shape: [1], data_offsets: [0, 1] }, f: { dtype: "F32", shape: [1], data_offsets: [1, 5] } };
  const checkpoint = await openBytes(safetensorsFile(header, Buffer.concat([Buffer.from([7]), floats(1.5)])));
  assert.deepEqual(await checkpoint.read(checkpoint.tensors.get("f")!, 0, 4), floats(1.5));
});

test("names that mean something to JavaScript are names like others", async () => {
  const header = `{"__proto__":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"constructor":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`;
  const checkpoint = await openBytes(safetensorsFile(header, floats(1, 2)));
  assert.deepEqual([...checkpoint.tensors.keys()], ["__proto__", "constructor"]);
});

const malformed: [why: string, header: string | object, data: Uint8Array, message: RegExp][] = [
  ["no object", "[]", floats(), /no checkpoint/],
  ["no JSON", `{"a":`, floats(), /is not JSON/],
  ["no UTF-8", Buffer.from([0x7b, 0xff]), floats(), /not UTF-8/],
  ["a description missing", { a: null }, floats(), /"a" has no description/],
  ["an unknown dtype", { a: { dtype: "F31", shape: [1], data_offsets: [0, 4] } }, floats(1), /unknown dtype "F31"/],
  ["a dtype of Object.prototype", { a: { dtype: "toString", shape: [1], data_offsets: [0, 4] } }, floats(1), /unknown dtype/],
  ["a negative size", { a: { dtype: "F32", shape: [-1], data_offsets: [0, 4] } }, floats(1), /impossible shape \[-1\]/],
  ["a fractional size", { a: { dtype: "F32", shape: [0.5], data_offsets: [0, 4] } }, floats(1), /impossible shape/],
  ["a product beyond 2^53", { a: { dtype: "F32", shape: [2 ** 40, 2 ** 40, 0], data_offsets: [0, 0] } }, floats(), /impossible shape/],
  ["65 dimensions", { a: { dtype: "F32", shape: Array(65).fill(1), data_offsets: [0, 4] } }, floats(1), /impossible shape/],
  ["offsets that are not two", { a: { dtype: "F32", shape: [1], data_offsets: [0] } }, floats(1), /impossible offsets/],
  ["offsets the wrong way round", { a: { dtype: "F32", shape: [1], data_offsets: [4, 0] } }, floats(1), /lies at bytes 4 to 0/],
  ["an end behind the file", { a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, floats(1), /lies at bytes 0 to 8 of 4/],
  ["a shape that disagrees", { a: { dtype: "F32", shape: [3], data_offsets: [0, 8] } }, floats(1, 2), /takes 12 bytes and has 8/],
  ["an overlap", { ...good, b: { dtype: "F32", shape: [1], data_offsets: [4, 8] } }, floats(1, 2), /"b" overlaps "a"/],
  ["a gap", { ...good, b: { dtype: "F32", shape: [1], data_offsets: [12, 16] } }, floats(1, 2, 3, 4), /4 bytes before tensor "b"/],
  ["bytes left over", good, floats(1, 2, 3, 4), /4 bytes behind the last tensor/],
  ["a name twice", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, floats(1), /names "a" twice/],
  ["a field twice", `{"a":{"dtype":"F16","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, floats(1), /names "dtype" twice/],
  ["metadata that is not text", { __metadata__: { epoch: 3 }, ...good }, floats(1, 2, 3), /__metadata__/],
];

for (const [why, header, data, message] of malformed) {
  test(`a safetensors file with ${why} is refused`, async () => {
    await assert.rejects(openBytes(safetensorsFile(header, data)), (error: Error) => {
      assert.ok(error instanceof WeightsError, String(error));
      assert.match(error.message, /^test\.bin/);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  });
}

test("a name with control characters or of any length cannot break the one line of a message", async () => {
  const name = `\x1b[31m\n${"x".repeat(10_000)}`;
  await assert.rejects(openBytes(safetensorsFile({ [name]: { dtype: "?", shape: [], data_offsets: [0, 0] } })), (error: Error) => {
    assert.doesNotMatch(error.message, /[\x00-\x1f]/);
    return error.message.length < 400;
  });
});

test("a key of ninety megabytes does not exhaust the stack", async () => {
  const header = `{"${"x".repeat(90_000_000)}":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`;
  const checkpoint = await openBytes(safetensorsFile(header, floats(1)));
  assert.equal(checkpoint.tensors.size, 1);
});

const goldenFacts: [file: string, message: RegExp][] = [
  ["bad_empty", /is empty/], ["bad_header_too_long", /header claims/], ["bad_not_json", /no safetensors header/],
  ["bad_offsets_out_of_file", /"f32" lies at bytes 0 to 1099511627776/], ["bad_shape_disagrees", /"f32" of F32 \[6, 11\]/],
  ["bad_truncated", /lies at bytes/], ["bad_unknown_dtype", /unknown dtype "F99"/],
];
for (const [file, message] of goldenFacts) {
  test(`golden ${file}.safetensors is refused with its name and the fact`, needsShared("goldens/checkpoints"), async () => {
    const folder = openFolder(sharedPath("goldens/checkpoints")!);
    await assert.rejects(openCheckpoint(folder, `${file}.safetensors`), (error: Error) =>
      error instanceof WeightsError && error.message.includes(`${file}.safetensors`) && message.test(error.message));
  });
}

test("every safetensors golden opens, and writing it again gives the same tensors", needsShared("goldens"), async (t) => {
  const goldens = sharedPath("goldens")!;
  const out = await temporaryFolder(t);
  const files = (await readdir(goldens)).filter((file) => file.endsWith(".safetensors"));
  assert.ok(files.length > 5);
  for (const file of files) {
    const checkpoint = await openCheckpoint(openFolder(goldens), file);
    const tensors = await readAll(checkpoint);
    await writeSafetensorsFile(join(out, file), outputs(tensors), checkpoint.metadata);
    const again = await openCheckpoint(openFolder(out), file);
    assert.deepEqual(again.metadata, checkpoint.metadata);
    const reread = await readAll(again);
    assert.equal(reread.size, tensors.size);
    for (const [name, tensor] of tensors) assert.deepEqual(reread.get(name), tensor, name);
    await checkpoint.close();
    await again.close();
  }
});

test("the writer gives the reference implementation's bytes, in whatever order the tensors come", needsShared("goldens/checkpoints/expected.safetensors"), async () => {
  const expected = await readFile(sharedPath("goldens/checkpoints/expected.safetensors")!);
  const tensors = outputs(await readAll(await openBytes(expected)));
  assert.deepEqual(await written(tensors), expected);
  assert.deepEqual(await written([...tensors].reverse()), expected);
});

test("the writer pads its header to 8 bytes and sorts metadata", async () => {
  for (let length = 1; length <= 9; length++) {
    const file = await written([tensor("x".repeat(length), [1], floats(1))], { z: "1", a: "é" });
    assert.equal(Number(file.readBigUInt64LE()) % 8, 0);
    assert.deepEqual(file, await written([tensor("x".repeat(length), [1], floats(1))], { a: "é", z: "1" }));
    const checkpoint = await openBytes(file);
    assert.deepEqual(checkpoint.metadata, { a: "é", z: "1" });
  }
});

test("the writer refuses tensors whose bytes do not fit, and names that occur twice", async () => {
  await assert.rejects(written([tensor("a", [2], floats(1))]), /4 bytes or more were given for F32 \[2\], which takes 8/);
  await assert.rejects(written([tensor("a", [1], floats(1, 2))]), InputError);
  await assert.rejects(written([tensor("a", [1], floats(1)), tensor("a", [1], floats(1))]), /two tensors/);
  await assert.rejects(written([tensor("a", [-1], floats())]), /impossible shape/);
});

test("a file that fails while it is written leaves the old one and nothing else", async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, "weights.safetensors");
  await writeSafetensorsFile(path, [tensor("a", [1], floats(1))]);
  const before = await readFile(path);
  const broken: TensorOutput = { name: "a", dtype: "F32", shape: [2], async *chunks() { yield floats(1); throw new Error("source failed"); } };
  await assert.rejects(writeSafetensorsFile(path, [broken]), /source failed/);
  assert.deepEqual(await readFile(path), before);
  assert.deepEqual(await readdir(folder), ["weights.safetensors"]);
});

test("an output that cannot be written is an error that names it", async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "file"), "");
  await assert.rejects(writeSafetensorsFile(join(folder, "file", "a.safetensors"), []), (error: Error) =>
    error instanceof InputError && error.message.startsWith(`${join(folder, "file")}: is a file, not a folder`));
  assert.ok((await stat(join(folder, "file"))).isFile());
});

/** Two shards and their index, with parts replaced or (undefined) left out. */
function shardedFolder(changes: Record<string, Uint8Array | undefined> = {}) {
  const shard = (name: string, value: number) => safetensorsFile({ [name]: { dtype: "F32", shape: [1], data_offsets: [0, 4] } }, floats(value));
  const index = { metadata: { total_size: 8 }, weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" } };
  const files = Object.entries({
    "unet/model.safetensors.index.json": Buffer.from(JSON.stringify(index)),
    "unet/model-00001-of-00002.safetensors": shard("a", 1),
    "unet/model-00002-of-00002.safetensors": shard("b", 2),
    ...changes,
  }).filter((file): file is [string, Uint8Array] => file[1] !== undefined);
  return fileFolder("memory", new Map(files));
}

test("a sharded checkpoint is read through its index", async () => {
  const folder = shardedFolder();
  const path = await findWeights(folder, "unet");
  assert.equal(path, "unet/model.safetensors.index.json");
  const checkpoint = await openCheckpoint(folder, path);
  assert.equal(checkpoint.format, "sharded");
  assert.deepEqual(checkpoint.metadata, { total_size: "8" });
  assert.deepEqual(await checkpoint.read(checkpoint.tensors.get("b")!, 0, 4), floats(2));
  await checkpoint.close();
});

const brokenShards: [why: string, changes: Record<string, Uint8Array | undefined>, message: RegExp][] = [
  ["a missing shard", { "unet/model-00002-of-00002.safetensors": undefined }, /shard model-00002-of-00002\.safetensors is missing/],
  ["a shard without its tensor", { "unet/model-00002-of-00002.safetensors": safetensorsFile({}) }, /model-00002-of-00002\.safetensors lacks "b"/],
  ["a tensor that is not listed", { "unet/model-00002-of-00002.safetensors": safetensorsFile({ ...good }, floats(1, 2, 3)) }, /has "a", which the index does not place there/],
  ["a broken shard", { "unet/model-00001-of-00002.safetensors": new Uint8Array(3) }, /model-00001-of-00002\.safetensors: is no checkpoint|model-00001-of-00002\.safetensors: has no safetensors header/],
  ["an index that reaches out", { "unet/model.safetensors.index.json": Buffer.from(`{"weight_map":{"a":"../secret.safetensors"}}`) }, /not the name of a file beside it/],
  ["an index that is none", { "unet/model.safetensors.index.json": Buffer.from("null") }, /has no weight_map/],
  ["an index that is not JSON", { "unet/model.safetensors.index.json": Buffer.from("<html>") }, /is not JSON/],
];
for (const [why, changes, message] of brokenShards) {
  test(`a sharded checkpoint with ${why} is refused`, async () => {
    await assert.rejects(openCheckpoint(shardedFolder(changes), "unet/model.safetensors.index.json"), (error: Error) => {
      assert.ok(error instanceof WeightsError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

test("a folder without weights says which names are looked for", async () => {
  await assert.rejects(findWeights(shardedFolder(), "vae"), /memory\/vae: has no weights; put one of diffusion_pytorch_model\.safetensors/);
});

function tensor(name: string, shape: number[], bytes: Uint8Array): TensorOutput {
  return { name, dtype: "F32", shape, chunks: () => [bytes] };
}

function outputs(tensors: Awaited<ReturnType<typeof readAll>>): TensorOutput[] {
  return [...tensors].map(([name, { dtype, shape, bytes }]) => ({ name, dtype: dtype as TensorOutput["dtype"], shape, chunks: () => [bytes] }));
}

async function written(tensors: TensorOutput[], metadata?: Record<string, string>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await writeSafetensors({ async write(bytes) { parts.push(bytes.slice()); } }, tensors, metadata);
  return Buffer.concat(parts);
}

test("a folder is replaced whole, or stays as it was", async (t) => {
  const parent = await temporaryFolder(t);
  const path = join(parent, "vae");
  const fill = (texts: Record<string, string>, end: () => void = () => undefined) => writeFolderAtomically(path, async (folder) => {
    for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
    end();
  });
  await fill({ weights: "first", config: "first" });
  await assert.rejects(fill({ weights: "second" }, () => { throw new Error("killed"); }), /killed/);
  assert.deepEqual([await readdir(parent), await readdir(path)], [["vae"], ["config", "weights"]]);
  assert.equal(await readFile(join(path, "weights"), "utf8"), "first");
  await fill({ weights: "third" });
  assert.deepEqual([await readdir(parent), await readdir(path)], [["vae"], ["weights"]]);
});
