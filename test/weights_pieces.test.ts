import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteSource, type FolderSource, memorySource } from "../src/weights/byte_source.ts";
import { type OpenPieceStore, PIECE_BYTES, type PieceStore, cachedFolder } from "../src/weights/piece_cache.ts";

const bytes = Uint8Array.from({ length: 2 * PIECE_BYTES + 1000 }, (_, i) => (i * 7 + (i >> 12)) & 255);

/** A folder with one file, and the ranges that were read of it. */
function countedFolder(version: string | undefined, fail = () => {}) {
  const ranges: number[] = [];
  const folder: FolderSource = {
    name: "folder",
    has: async () => true,
    async open(path) {
      const memory = memorySource(`folder/${path}`, bytes);
      const source: ByteSource = { ...memory, version, read: async (offset, length, into) => { fail(); ranges.push(offset); return memory.read(offset, length, into); } };
      return source;
    },
  };
  return { folder, ranges };
}

/** A store in memory, which outlives what is read through it. */
function memoryStore() {
  const kept = new Map<string, Map<number, Uint8Array>>();
  const openStore: OpenPieceStore = async ({ name, version }) => {
    const pieces = kept.get(`${name} ${version}`) ?? new Map<number, Uint8Array>();
    kept.set(`${name} ${version}`, pieces);
    const store: PieceStore = {
      async read(index, into) {
        const piece = pieces.get(index);
        if (piece) into.set(piece);
        return piece !== undefined;
      },
      async write(index, piece) { pieces.set(index, piece.slice()); },
      close() {},
    };
    return store;
  };
  return { openStore, kept };
}

test("any range comes out right, whatever pieces it spans", async () => {
  const { folder } = countedFolder("1");
  const source = await cachedFolder(folder, memoryStore()).open("unet/model.safetensors");
  for (const [offset, length] of [[0, 0], [0, 10], [PIECE_BYTES - 5, 10], [5, bytes.length - 5], [bytes.length - 1, 1]]) {
    assert.deepEqual(await source.read(offset, length), bytes.subarray(offset, offset + length));
  }
  await assert.rejects(source.read(bytes.length, 1), /1 bytes were asked for/);
});

test("each piece is fetched once, and a second visit fetches none", async () => {
  const store = memoryStore();
  const { folder, ranges } = countedFolder("1");
  for (let visit = 0; visit < 2; visit++) {
    const source = await cachedFolder(folder, store).open("model.safetensors");
    for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES / 2) await source.read(offset, 1);
    await source.close();
  }
  assert.deepEqual(ranges, [0, PIECE_BYTES, 2 * PIECE_BYTES]);
});

test("a visit that was cut off goes on where it was", async () => {
  const store = memoryStore();
  let broken = false;
  const { folder, ranges } = countedFolder("1", () => { if (broken) throw new Error("cut"); });
  const first = await cachedFolder(folder, store).open("model.safetensors");
  await first.read(0, PIECE_BYTES);
  broken = true;
  await assert.rejects(first.read(PIECE_BYTES, 1), /cut/);
  broken = false;
  assert.deepEqual(await first.read(PIECE_BYTES, 1), bytes.subarray(PIECE_BYTES, PIECE_BYTES + 1));
  await (await cachedFolder(folder, store).open("model.safetensors")).read(0, bytes.length);
  assert.deepEqual(ranges, [0, PIECE_BYTES, 2 * PIECE_BYTES]);
});

test("another version is fetched anew, and a file without one is never kept", async () => {
  const store = memoryStore();
  for (const [version, expected] of [["1", 1], ["2", 1], ["2", 0], [undefined, 1], [undefined, 1]] as const) {
    const { folder, ranges } = countedFolder(version);
    await (await cachedFolder(folder, store).open("model.safetensors")).read(0, 1);
    assert.equal(ranges.length, expected, String(version));
  }
});

test("where there is no room, reading goes on and says once that nothing is kept", async () => {
  const notes: string[] = [];
  const { openStore } = memoryStore();
  const full: OpenPieceStore = async (file) => ({ ...(await openStore(file)), write: async () => { throw new Error("the disk is full"); } });
  const source = await cachedFolder(countedFolder("1").folder, { openStore: full, onNote: (note) => notes.push(note) }).open("model.safetensors");
  assert.deepEqual(await source.read(0, bytes.length), bytes);
  assert.deepEqual(notes, ["folder/model.safetensors is not kept, and will be fetched again the next time: the disk is full"]);
});

test("where nothing can be kept, reading goes on and says why", async () => {
  const notes: string[] = [];
  const openStore: OpenPieceStore = async () => { throw new Error("another tab of this site is using it"); };
  const source = await cachedFolder(countedFolder("1").folder, { openStore, onNote: (note) => notes.push(note) }).open("model.safetensors");
  assert.deepEqual(await source.read(7, 9), bytes.subarray(7, 16));
  assert.match(notes.join(), /is not kept.*another tab/);
});

test("small files are not cut into pieces", async () => {
  const { folder, ranges } = countedFolder("1");
  await (await cachedFolder(folder, memoryStore()).open("config.json")).read(3, 2);
  assert.deepEqual(ranges, [3]);
});
