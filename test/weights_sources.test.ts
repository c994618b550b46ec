import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, open, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { WeightsError } from "../src/errors.ts";
import { blobSource, fileFolder, memorySource, readJson, readText, type ByteSource } from "../src/weights/byte_source.ts";
import { openFile, openFolder } from "../src/weights/byte_source_node.ts";
import { openUrl, openUrlFolder } from "../src/weights/http_source.ts";
import { openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { floats, safetensorsFile, temporaryFolder } from "./weights_files.ts";
import { sendFile, startServer, type Misbehaviour } from "./weights_server.ts";

const bytes = Uint8Array.from({ length: 1000 }, (_, index) => (index * 7) % 251);

/** What every source must do. */
async function checkSource(source: ByteSource): Promise<void> {
  assert.equal(source.size, 1000);
  assert.deepEqual(await source.read(0, 1000), bytes);
  assert.deepEqual(await source.read(990, 10), bytes.subarray(990));
  assert.equal((await source.read(1000, 0)).byteLength, 0);
  const room = new Uint8Array(64).fill(0xee);
  const view = await source.read(100, 50, room);
  assert.equal(view.buffer, room.buffer);
  assert.deepEqual(view, bytes.subarray(100, 150));
  assert.equal(room[50], 0xee);
  for (const [offset, length] of [[999, 2], [-1, 1], [0, -1], [0.5, 1], [0, NaN], [2 ** 53, 1]]) {
    await assert.rejects(source.read(offset, length), (error: Error) => error instanceof WeightsError && error.message.startsWith(source.name));
  }
  await assert.rejects(source.read(0, 65, room), /room for 64/);
  await source.close();
  await source.close();
}

test("memory and blobs are sources", async () => {
  await checkSource(memorySource("memory", bytes));
  await checkSource(blobSource("blob", new Blob([bytes])));
});

test("files are sources", async (t) => {
  const path = join(await temporaryFolder(t), "file.bin");
  await writeFile(path, bytes);
  await checkSource(await openFile(path));
});

test("a file that shrinks while it is read is an error", async (t) => {
  const path = join(await temporaryFolder(t), "file.bin");
  await writeFile(path, bytes);
  const source = await openFile(path);
  await truncate(path, 500);
  await assert.rejects(source.read(400, 200), /ended at byte 500 of 1000/);
  await source.close();
});

test("files that are missing or folders are errors that say so", async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, "unet"));
  await assert.rejects(openFolder(folder).open("unet/model.bin"), (error: Error) => error instanceof WeightsError && /model\.bin: no such file/.test(error.message));
  await assert.rejects(openFile(join(folder, "unet")), /is not a file/);
  assert.equal(await openFolder(folder).has("unet"), false);
  assert.equal(await openFolder(folder).has("unet/model.bin"), false);
});

test("reading a file of 512 MiB by pieces keeps none of it in memory", async (t) => {
  const path = join(await temporaryFolder(t), "large.bin");
  const handle = await open(path, "w");
  await handle.truncate(512 * 2 ** 20); // a hole: takes no space on the disk
  await handle.close();
  const script = `
    import { openFile } from ${JSON.stringify(new URL("../src/weights/byte_source_node.ts", import.meta.url).href)};
    const source = await openFile(${JSON.stringify(path)});
    const piece = new Uint8Array(8 * 2 ** 20);
    await source.read(0, piece.byteLength, piece);
    const before = process.memoryUsage().rss;
    let highest = 0;
    for (let at = 0; at < source.size; at += piece.byteLength) {
      await source.read(at, piece.byteLength, piece);
      highest = Math.max(highest, process.memoryUsage().rss);
    }
    console.log(highest - before);`;
  const grown = Number(execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { encoding: "utf8" }));
  assert.ok(grown < 32 * 2 ** 20, `grew by ${grown} bytes`);
});

test("text and JSON are read from folders, and what is wrong with them is said", async () => {
  const folder = fileFolder("memory", new Map<string, Uint8Array | Blob>([
    ["config.json", new Blob(['{"a":"é"}'])], ["bad.json", Buffer.from("{")], ["latin1.txt", Uint8Array.of(0xe9)],
  ]));
  assert.deepEqual(await readJson(folder, "config.json"), { a: "é" });
  assert.equal(await readText(folder, "bad.json"), "{");
  await assert.rejects(readJson(folder, "bad.json"), /memory\/bad\.json: is not JSON/);
  await assert.rejects(readText(folder, "latin1.txt"), /not UTF-8/);
  await assert.rejects(readText(folder, "none.txt"), /memory\/none\.txt: the file is missing/);
});

async function serveBytes(t: TestContext, file: Uint8Array, wrong: () => Misbehaviour = () => ({})) {
  return startServer(t, (request, response) => sendFile(request, response, file, wrong()));
}

test("files on a server are sources, read by range", async (t) => {
  const server = await serveBytes(t, bytes);
  await checkSource(await openUrl(`${server.url}/file.bin`));
  assert.deepEqual(server.requests.slice(0, 3), ["/file.bin bytes=0-0", "/file.bin bytes=0-999", "/file.bin bytes=990-999"]);
});

test("a server without ranges is read whole, once, where the file is small", async (t) => {
  const server = await serveBytes(t, bytes, () => ({ ignoreRange: true }));
  await checkSource(await openUrl(`${server.url}/file.bin`));
  assert.equal(server.requests.length, 1);
});

test("a server without ranges and a large file is refused before the file is in memory", async (t) => {
  const server = await serveBytes(t, new Uint8Array(65 * 2 ** 20), () => ({ ignoreRange: true }));
  await assert.rejects(openUrl(`${server.url}/large.bin`), /does not serve ranges and the file has more than/);
});

test("an empty file on a server is an empty source", async (t) => {
  const server = await serveBytes(t, new Uint8Array(0));
  assert.equal((await openUrl(`${server.url}/empty`)).size, 0);
});

test("a read whose connection is cut goes on at its byte", async (t) => {
  let cuts = 0;
  const server = await serveBytes(t, bytes, () => (cuts++ < 3 ? { cutAfter: 300 } : {}));
  const source = await openUrl(`${server.url}/file.bin`);
  assert.deepEqual(await source.read(0, 1000), bytes);
  const starts = server.requests.slice(1).map((request) => Number(/bytes=(\d+)/.exec(request)![1]));
  assert.equal(starts[0], 0);
  assert.deepEqual(starts, [...starts].sort((a, b) => a - b));
  assert.ok(starts.at(-1)! > 0);
});

test("a server that goes on cutting is given up", async (t) => {
  const server = await serveBytes(t, bytes, () => ({ cutAfter: 0 }));
  const source = await openUrl(`${server.url}/file.bin`).catch((error: Error) => error);
  // The first answer has one byte, which a cut after none takes away too; its headers are enough.
  assert.ok(!(source instanceof Error));
  await assert.rejects(source.read(0, 1000), /was cut 4 times at byte 0/);
});

for (const [status, message] of [[401, /refuses access \(HTTP 401\).*token/], [403, /refuses access/], [404, /has no such file/], [500, /HTTP 500/]] as const) {
  test(`HTTP ${status} is an error that says what to do`, async (t) => {
    const server = await startServer(t, (_, response) => response.writeHead(status).end("no"));
    await assert.rejects(openUrl(`${server.url}/file.bin`), (error: Error) => error instanceof WeightsError && message.test(error.message));
    const folder = openUrlFolder(server.url);
    if (status === 404) assert.equal(await folder.has("file.bin"), false);
    else await assert.rejects(folder.has("file.bin"), WeightsError);
  });
}

test("a server that sends other bytes than were asked for is refused", async (t) => {
  let wrong: Misbehaviour = {};
  let file = bytes;
  const server = await startServer(t, (request, response) => sendFile(request, response, file, wrong));
  const source = await openUrl(`${server.url}/file.bin`);
  wrong = { shift: 1 };
  await assert.rejects(source.read(10, 10), /sent bytes from 11 where 10 was asked for/);
  wrong = { ignoreRange: true };
  await assert.rejects(source.read(10, 10), /stopped serving ranges/);
  wrong = {};
  file = bytes.subarray(0, 900);
  await assert.rejects(source.read(10, 10), /changed on the server from 1000 to 900/);
});

test("a server that does not show Content-Range, or cannot be reached, is an error that says so", async (t) => {
  const server = await startServer(t, (_, response) => response.writeHead(206).end("x"));
  await assert.rejects(openUrl(`${server.url}/file.bin`), /let it expose that header/);
  await assert.rejects(openUrl("http://127.0.0.1:1/file.bin"), /cannot be reached/);
});

test("a checkpoint in a folder on a server loads, and headers are sent along", async (t) => {
  const file = safetensorsFile({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, floats(1, 2));
  const server = await startServer(t, (request, response) => {
    if (request.headers.authorization !== "Bearer t") response.writeHead(401).end();
    else if (request.url === "/models/my%20model/unet/model.safetensors") sendFile(request, response, file);
    else response.writeHead(404).end();
  });
  const folder = openUrlFolder(`${server.url}/models/my%20model/`, { headers: { authorization: "Bearer t" } });
  assert.equal(await folder.has("unet/config.json"), false);
  const checkpoint = await openCheckpoint(folder, "unet/model.safetensors");
  assert.deepEqual(await checkpoint.read(checkpoint.tensors.get("a")!, 0, 8), floats(1, 2));
});
