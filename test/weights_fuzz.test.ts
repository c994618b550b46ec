import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { WeightsError } from "../src/errors.ts";
import { fileFolder, memorySource, type ByteSource } from "../src/weights/byte_source.ts";
import { openCheckpoint, openCheckpointSource } from "../src/weights/open_checkpoint.ts";
import { needsShared, sharedPath } from "./shared.ts";
import { floats, pickle, safetensorsFile, torchLegacy, torchZip } from "./weights_files.ts";

/** A small generator, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Opens a file and reads all its tensors. Only a WeightsError may come out, and no tensor may claim more bytes than the file has. */
async function survives(bytes: Uint8Array, what: string): Promise<"read" | "refused"> {
  const source: ByteSource = memorySource("fuzz", bytes);
  try {
    const checkpoint = await openCheckpointSource(source);
    for (const entry of checkpoint.tensors.values()) {
      assert.ok(entry.byteLength <= bytes.byteLength, `${what}: ${entry.byteLength} bytes of a file of ${bytes.byteLength}`);
      const read = await checkpoint.read(entry, 0, entry.byteLength);
      assert.equal(read.byteLength, entry.byteLength);
    }
    return "read";
  } catch (error) {
    if (error instanceof WeightsError) return "refused";
    throw new Error(`${what}: ${(error as Error).stack}`, { cause: error });
  }
}

const weight = pickle.tensor(pickle.storage("FloatStorage", "0", 6), 0, [2, 3], [1, 2]);
const object = pickle.file(pickle.dict(pickle.text("state_dict"), pickle.dict(pickle.text("w"), weight)));
const made: [name: string, bytes: Uint8Array][] = [
  ["a made safetensors file", safetensorsFile({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, floats(1, 2))],
  ["a made zip64 archive", torchZip(object, { 0: floats(1, 2, 3, 4, 5, 6) }, { zip64: true })],
  ["a made legacy file", torchLegacy(object, { 0: { elements: 6, bytes: floats(1, 2, 3, 4, 5, 6) } })],
];

function fuzz(name: string, load: () => Uint8Array, options: { skip: string | false }): void {
  test(`${name}: cut anywhere`, options, async () => {
    const bytes = load();
    for (let length = 0; length < bytes.byteLength; length++) await survives(bytes.subarray(0, length), `cut at ${length}`);
  });

  test(`${name}: any byte changed`, options, async () => {
    const bytes = load();
    const next = random(bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; at++) {
      for (const value of [0xff, bytes[at] ^ (1 << next(8))]) {
        const changed = Uint8Array.from(bytes);
        changed[at] = value;
        await survives(changed, `byte ${at} = ${value}`);
      }
    }
  });

  test(`${name}: eight bytes at once, and pieces moved`, options, async () => {
    const bytes = load();
    if (bytes.byteLength < 16) return;
    const next = random(bytes.byteLength + 1);
    for (let round = 0; round < 500; round++) {
      const changed = Uint8Array.from(bytes);
      const at = next(bytes.byteLength - 8);
      if (round % 2 === 0) for (let i = 0; i < 8; i++) changed[at + i] = next(4) === 0 ? next(256) : 0xff;
      else changed.copyWithin(at, next(bytes.byteLength), next(bytes.byteLength));
      await survives(changed, `round ${round}`);
    }
  });
}

for (const [name, bytes] of made) {
  fuzz(name, () => bytes, { skip: false });
  test(`${name} is read when it is left alone`, async () => assert.equal(await survives(bytes, name), "read"));
}

const goldens = sharedPath("goldens/checkpoints");
if (goldens === undefined) test("golden checkpoints", needsShared("goldens/checkpoints"), () => {});
else for (const file of readdirSync(goldens)) fuzz(`golden ${file}`, () => readFileSync(join(goldens, file)), { skip: false });

test("an index of shards: cut anywhere, any byte changed", async () => {
  const shard = safetensorsFile({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, floats(1, 2));
  const index = Buffer.from(JSON.stringify({ metadata: { total_size: 8 }, weight_map: { a: "model-1.safetensors" } }));
  const open = async (changed: Uint8Array) => {
    const folder = fileFolder("fuzz", new Map([["model.safetensors.index.json", changed], ["model-1.safetensors", shard]]));
    await openCheckpoint(folder, "model.safetensors.index.json").then((checkpoint) => checkpoint.close(), (error: unknown) => {
      if (!(error instanceof WeightsError)) throw error;
    });
  };
  for (let at = 0; at < index.byteLength; at++) {
    await open(index.subarray(0, at));
    for (const value of [0, 0x22, 0x7b, 0x5b, 0xff]) {
      const changed = Buffer.from(index);
      changed[at] = value;
      await open(changed);
    }
  }
});
