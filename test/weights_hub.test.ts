import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { pullWeights } from "../src/cli/weights.ts";
import { InputError, WeightsError } from "../src/errors.ts";
import { hubAddress, selectFiles } from "../src/weights/hub.ts";
import { pullRepository, type PullOptions, type PullProgress } from "../src/weights/hub_node.ts";
import { temporaryFolder } from "./weights_files.ts";
import { sendFile, startServer, type Misbehaviour, type TestServer } from "./weights_server.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS = "unet/diffusion_pytorch_model.safetensors";
const weights = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) % 253);
const repository: Record<string, Uint8Array> = {
  "model_index.json": Buffer.from("{}"),
  "unet/config.json": Buffer.from('{"sample_size":64}'),
  [WEIGHTS]: weights,
};
const fileRequest = `/owner/model/resolve/${COMMIT}/${WEIGHTS}`;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** How a hub differs from a good one. */
interface HubOptions {
  /** Called for each request of a file; true where it has answered. */
  readonly intercept?: (path: string, request: IncomingMessage, response: ServerResponse) => boolean;
  readonly misbehave?: (path: string) => Misbehaviour;
  /** Changes the entry of the listing for a file. */
  readonly entry?: (path: string, bytes: Uint8Array) => object;
  readonly files?: Record<string, Uint8Array>;
}

/** A hub with one repository, owner/model. */
function startHub(t: TestContext, { intercept, misbehave, entry, files = repository }: HubOptions = {}): Promise<TestServer> {
  const describe = entry ?? ((path, bytes) => ({ rfilename: path, size: bytes.byteLength, ...(path === WEIGHTS ? { lfs: { sha256: sha256(bytes) } } : {}) }));
  return startServer(t, (request, response) => {
    if (request.url === "/api/models/owner/model/revision/main") {
      response.end(JSON.stringify({ sha: COMMIT, siblings: Object.entries(files).map(([path, bytes]) => describe(path, bytes)) }));
      return;
    }
    const path = request.url!.replace(`/owner/model/resolve/${COMMIT}/`, "");
    if (intercept?.(path, request, response)) return;
    if (files[path] === undefined) response.writeHead(404).end();
    else sendFile(request, response, files[path], misbehave?.(path));
  });
}

async function pull(hub: TestServer, cache: string, options: PullOptions = {}) {
  return pullRepository(hubAddress(hub.url, "owner/model"), cache, { retryDelay: 1, ...options });
}

/** Files under a folder, by relative path. */
async function filesIn(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/** Where a pull puts a file. */
function cached(cache: string, path: string): string {
  return join(cache, "owner--model", COMMIT, path);
}

test("a repository is fetched with progress, and not fetched again", async (t) => {
  const [hub, cache] = [await startHub(t), await temporaryFolder(t)];
  const progress: PullProgress[] = [];
  const result = await pull(hub, cache, { onProgress: (step) => progress.push(step) });
  assert.equal(result.folder, join(cache, "owner--model", COMMIT));
  assert.deepEqual(await filesIn(result.folder), Object.keys(repository).sort());
  for (const [path, bytes] of Object.entries(repository)) assert.deepEqual(new Uint8Array(await readFile(join(result.folder, path))), new Uint8Array(bytes));
  assert.deepEqual(result.files.map(({ downloaded }) => downloaded), [true, true, true]);
  const last = progress.at(-1)!;
  assert.deepEqual(last, { path: WEIGHTS, index: 3, count: 3, fileBytes: weights.byteLength, fileTotal: weights.byteLength });
  assert.ok(progress.every((step, index) => index === 0 || step.path !== progress[index - 1].path || step.fileBytes > progress[index - 1].fileBytes));

  const requests = hub.requests.length;
  const again = await pull(hub, cache);
  assert.deepEqual(again.files.map(({ downloaded }) => downloaded), [false, false, false]);
  assert.equal(hub.requests.length, requests + 1); // the listing
});

test("a connection that is cut goes on at its byte", async (t) => {
  let cuts = 0;
  const hub = await startHub(t, { misbehave: (path) => (path === WEIGHTS && cuts++ < 3 ? { cutAfter: 80_000 } : {}) });
  const cache = await temporaryFolder(t);
  await pull(hub, cache);
  assert.deepEqual(new Uint8Array(await readFile(cached(cache, WEIGHTS))), weights);
  const starts = hub.requests.filter((request) => request.startsWith(fileRequest)).map((request) => Number(/bytes=(\d+)-$/.exec(request)?.[1] ?? 0));
  assert.equal(starts.length, 4);
  assert.ok(starts.every((start, index) => index === 0 ? start === 0 : start > starts[index - 1] && start <= 80_000 * index), String(starts));
});

test("a pull that was interrupted goes on at its byte in the next run", async (t) => {
  let interrupted = true;
  const hub = await startHub(t, { misbehave: (path) => (path === WEIGHTS && interrupted ? { cutAfter: 100_000 } : {}) });
  const cache = await temporaryFolder(t);
  const controller = new AbortController();
  const onProgress = ({ path, fileBytes }: PullProgress) => {
    if (path === WEIGHTS && fileBytes > 50_000) controller.abort();
  };
  await assert.rejects(pull(hub, cache, { signal: controller.signal, onProgress }), { name: "AbortError" });
  assert.equal(existsSync(cached(cache, WEIGHTS)), false);
  const kept = (await readFile(cached(cache, `${WEIGHTS}.part`))).byteLength;
  assert.ok(kept > 50_000 && kept <= 100_000, `${kept} bytes kept`);

  interrupted = false;
  await pull(hub, cache);
  assert.equal(hub.requests.at(-1), `${fileRequest} bytes=${kept}-`);
  assert.deepEqual(new Uint8Array(await readFile(cached(cache, WEIGHTS))), weights);
  assert.equal(existsSync(cached(cache, `${WEIGHTS}.part`)), false);
});

test("a server that ignores Range is read from the beginning", async (t) => {
  const hub = await startHub(t, { misbehave: () => ({ ignoreRange: true }) });
  const cache = await temporaryFolder(t);
  await putPart(cache, Buffer.from("not what the file begins with"));
  await pull(hub, cache);
  assert.deepEqual(new Uint8Array(await readFile(cached(cache, WEIGHTS))), weights);
});

test("a part that is longer than the file is begun anew", async (t) => {
  const [hub, cache] = [await startHub(t), await temporaryFolder(t)];
  await putPart(cache, new Uint8Array(weights.byteLength + 1));
  await pull(hub, cache);
  assert.deepEqual(new Uint8Array(await readFile(cached(cache, WEIGHTS))), weights);
});

test("a complete part is checked and named without another request", async (t) => {
  const [hub, cache] = [await startHub(t), await temporaryFolder(t)];
  await putPart(cache, weights);
  await pull(hub, cache);
  assert.ok(!hub.requests.some((request) => request.startsWith(fileRequest)));
  assert.ok(existsSync(cached(cache, WEIGHTS)));
});

test("a complete part is recognised where the listing tells no sizes", async (t) => {
  const entry = (path: string) => ({ rfilename: path });
  const [hub, cache] = [await startHub(t, { entry }), await temporaryFolder(t)];
  await putPart(cache, weights);
  await pull(hub, cache, { include: [WEIGHTS] });
  assert.equal(hub.requests.at(-1), `${fileRequest} bytes=300000-`);
  assert.deepEqual(new Uint8Array(await readFile(cached(cache, WEIGHTS))), weights);
});

test("a part that is longer than the file is begun anew where the listing tells no sizes", async (t) => {
  const [hub, cache] = [await startHub(t, { entry: (path) => ({ rfilename: path }) }), await temporaryFolder(t)];
  await putPart(cache, new Uint8Array(weights.byteLength + 1));
  await pull(hub, cache, { include: [WEIGHTS] });
  assert.deepEqual(new Uint8Array(await readFile(cached(cache, WEIGHTS))), weights);
});

const failures: [what: string, options: HubOptions, message: RegExp, keepsPart: boolean][] = [
  ["404", answer(404), /no such file \(HTTP 404\)/, false],
  ["401", answer(401), /refuses access \(HTTP 401\).*HF_TOKEN/, false],
  ["503 for ever", answer(503), /HTTP 503, 5 times in a row.*run the command again/, false],
  ["connections that are always cut", { misbehave: weightsOnly({ cutAfter: 0 }) }, /5 times in a row/, false],
  ["a length that differs from the listing", { files: repository, entry: (path, bytes) => ({ rfilename: path, size: bytes.byteLength + (path === WEIGHTS ? 5 : 0) }) },
    /the server has 300000 bytes where 300005 are expected/, false],
  ["more bytes than it says", { intercept: endless }, /sends more than the 300000 bytes/, false],
  ["fewer bytes than the listing says", { intercept: short }, /the 1000 bytes that arrived are kept/, true],
  ["a wrong checksum in the listing", { entry: (path, bytes) => ({ rfilename: path, size: bytes.byteLength, lfs: { sha256: "0".repeat(64) } }) }, /SHA-256/, false],
  ["a wrong checksum in x-linked-etag", { entry: (path) => ({ rfilename: path }), misbehave: () => ({ headers: { "x-linked-etag": `"${"0".repeat(64)}"` } }) }, /SHA-256 .* 0{64} is expected/, false],
  ["a size in x-linked-size that is not the file's", { entry: (path) => ({ rfilename: path }), misbehave: weightsOnly({ headers: { "x-linked-size": "7" } }) }, /has 300000 bytes where 7/, false],
  ["redirects in a circle", { intercept: (_, request, response) => { response.writeHead(302, { location: request.url }).end(); return true; } }, /redirects more than 5 times/, false],
  ["another range than was asked for", { misbehave: weightsOnly({ cutAfter: 1000, shift: 1 }) }, /sends bytes from \d+ where \d+ was asked for/, true],
];

for (const [what, options, message, keepsPart] of failures) {
  test(`a hub with ${what} is an error, and nothing bears the file's name`, async (t) => {
    const [hub, cache] = [await startHub(t, options), await temporaryFolder(t)];
    await assert.rejects(pull(hub, cache, { include: [WEIGHTS] }), (error: Error) => {
      assert.ok(error instanceof WeightsError, String(error.stack));
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
    assert.deepEqual(await filesIn(cache), keepsPart ? [cached("", `${WEIGHTS}.part`)] : []);
  });
}

test("a server that ignores Range and always cuts at the same byte is given up", async (t) => {
  const [hub, cache] = [await startHub(t, { misbehave: () => ({ ignoreRange: true, cutAfter: 1000 }) }), await temporaryFolder(t)];
  await assert.rejects(pull(hub, cache, { include: [WEIGHTS] }), /5 times in a row; the 1000 bytes that arrived are kept/);
});

test("a server that is busy for a while is asked again", async (t) => {
  let refusals = 0;
  const hub = await startHub(t, { intercept: (_, __, response) => refusals++ < 3 && Boolean(response.writeHead(refusals === 1 ? 429 : 503).end()) });
  await pull(hub, await temporaryFolder(t), { include: [WEIGHTS] });
});

test("the token goes to the hub and never to where it redirects", async (t) => {
  const cache = await temporaryFolder(t);
  const authorizations: (string | undefined)[] = [];
  const store = await startServer(t, (request, response) => {
    authorizations.push(request.headers.authorization);
    sendFile(request, response, weights);
  });
  const hub = await startServer(t, (request, response) => {
    if (request.headers.authorization !== "Bearer secret") response.writeHead(401).end();
    else if (request.url!.startsWith("/api/")) response.end(JSON.stringify({ sha: COMMIT, siblings: [{ rfilename: WEIGHTS }] }));
    else response.writeHead(302, { location: `${store.url}/blob`, "x-linked-size": String(weights.byteLength), "x-linked-etag": `"${sha256(weights)}"` }).end();
  });
  await assert.rejects(pull(hub, cache), /HTTP 401/);
  await pull(hub, cache, { token: "secret" });
  assert.deepEqual(authorizations, [undefined]);
  assert.deepEqual(new Uint8Array(await readFile(cached(cache, WEIGHTS))), weights);
});

test("a listing that names files outside the repository is refused before anything is fetched", async (t) => {
  for (const path of ["../../escape.json", "/etc/passwd", "unet/../../x", "a\\..\\b", "C:x", "unet//config.json", "", 7]) {
    const [hub, cache] = [await startHub(t, { entry: () => ({ rfilename: path }) }), await temporaryFolder(t)];
    await assert.rejects(pull(hub, cache, { include: ["*"] }), /no path inside a repository/);
    assert.deepEqual(await filesIn(cache), []);
  }
});

test("listings that are none are errors", async (t) => {
  const cache = await temporaryFolder(t);
  for (const [status, body, message] of [
    [404, "", /has no owner\/model at revision main/], [401, "", /HF_TOKEN/], [200, "<html>", /not JSON/], [200, "null", /lists no files/], [200, '{"siblings":[]}', /none of its 0 files is wanted/],
  ] as const) {
    const hub = await startServer(t, (_, response) => response.writeHead(status).end(body));
    await assert.rejects(pull(hub, cache), (error: Error) => error instanceof WeightsError && message.test(error.message));
  }
  await assert.rejects(pullRepository(hubAddress("http://127.0.0.1:1", "owner/model"), cache), /cannot be reached/);
});

test("the hub must be named, by option or environment", async (t) => {
  const cache = await temporaryFolder(t);
  await assert.rejects(pullWeights("owner/model", { cache }, {}), (error: Error) =>
    error instanceof InputError && /--endpoint: no hub is named; give --endpoint URL or set the environment variable HF_ENDPOINT/.test(error.message));
  const hub = await startHub(t);
  const { json, text } = await pullWeights("owner/model", { cache }, { HF_ENDPOINT: `${hub.url}/` });
  assert.equal((json as { commit: string }).commit, COMMIT);
  assert.match(text, /fetched {2}unet\/diffusion_pytorch_model\.safetensors {2}293\.0 KiB\n/);
  const xdg = await temporaryFolder(t);
  await pullWeights("owner/model", { endpoint: hub.url }, { XDG_CACHE_HOME: xdg });
  assert.ok(existsSync(join(xdg, "attnscope", "owner--model", COMMIT, "model_index.json")));
  assert.throws(() => hubAddress("hub.example", "owner/model"), /is not the URL of a hub/);
  for (const id of ["../x", "a/b/c", "a b", "/a", ""]) assert.throws(() => hubAddress(hub.url, id), /is not a repository's id/);
});

test("a cache folder that cannot be written is an error that names it", async (t) => {
  const [hub, cache] = [await startHub(t), join(await temporaryFolder(t), "file")];
  await writeFile(cache, "");
  await assert.rejects(pull(hub, cache), (error: Error) => error instanceof InputError && /cannot be written/.test(error.message));
});

test("the files of a model in the diffusers layout are chosen", () => {
  const paths = [
    ".gitattributes", "README.md", "model_index.json", "v1-5-pruned.ckpt", "model.safetensors",
    "unet/config.json", "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet_ema/diffusion_pytorch_model-00001-of-00002.safetensors", "unet_ema/diffusion_pytorch_model.safetensors.index.json",
    "text_encoder/pytorch_model.bin", "text_encoder/flax_model.msgpack", "tokenizer/vocab.txt", "tokenizer/merges.txt", "tokenizer/tokenizer.json",
    "scheduler/scheduler_config.json", "safety_checker/model.safetensors", "unet/deeper/config.json",
  ];
  const chosen = (from: string[], include?: string[]) => selectFiles(from.map((path) => ({ path })), include).map(({ path }) => path);
  assert.deepEqual(chosen(paths), [
    "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
    "unet_ema/diffusion_pytorch_model-00001-of-00002.safetensors", "unet_ema/diffusion_pytorch_model.safetensors.index.json",
    "text_encoder/pytorch_model.bin", "tokenizer/vocab.txt", "tokenizer/merges.txt", "tokenizer/tokenizer.json", "scheduler/scheduler_config.json",
  ]);
  assert.deepEqual(chosen(["config.json", "pytorch_model.bin", "vocab.txt", "modeling.py"]), ["config.json", "pytorch_model.bin", "vocab.txt"]);
  assert.deepEqual(chosen(["open_clip_config.json", "config.json", "open_clip_pytorch_model.bin", "model.safetensors"]), ["open_clip_config.json", "config.json", "model.safetensors"]);
  assert.deepEqual(chosen(paths, ["*.ckpt", "unet/confi?.json"]), ["v1-5-pruned.ckpt", "unet/config.json"]);
  assert.deepEqual(chosen(["a+b.json", "aab.json"], ["a+b.json"]), ["a+b.json"]);
});

async function putPart(cache: string, bytes: Uint8Array): Promise<void> {
  const path = cached(cache, `${WEIGHTS}.part`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

function answer(status: number): HubOptions {
  return { intercept: (_, __, response) => Boolean(response.writeHead(status).end()) };
}

function weightsOnly(wrong: Misbehaviour): (path: string) => Misbehaviour {
  return (path) => (path === WEIGHTS ? wrong : {});
}

function endless(_: string, __: IncomingMessage, response: ServerResponse): boolean {
  response.writeHead(200); // no length: chunked
  response.write(weights);
  response.end("and more");
  return true;
}

function short(_: string, request: IncomingMessage, response: ServerResponse): boolean {
  if (request.headers.range !== undefined) response.writeHead(503).end();
  else response.writeHead(200).end(weights.subarray(0, 1000)); // no length: chunked
  return true;
}
