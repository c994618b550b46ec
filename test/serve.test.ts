import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { type AddressInfo, type Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, after, describe, test } from "node:test";
import { InputError } from "../src/errors.ts";
import { type Access, loopbackNames } from "../src/serve/access_node.ts";
import { MAX_BODY_BYTES, MAX_WAITING, type ServeOptions, createPageServer } from "../src/serve/server_node.ts";

const folder = mkdtempSync(join(tmpdir(), "attnscope-serve-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, "page"));
mkdirSync(join(folder, "model", "unet"), { recursive: true });
writeFileSync(join(folder, "page", "index.html"), "the page");
writeFileSync(join(folder, "page", ".hidden"), "secret");
writeFileSync(join(folder, "model", "unet", "weights.bin"), "0123456789");
writeFileSync(join(folder, "secret.txt"), "secret");

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** One request as it is, with a path that nothing has tidied. */
function ask(port: number, path: string, { method = "GET", headers = {}, body }: { method?: string; headers?: OutgoingHttpHeaders; body?: Uint8Array } = {}, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, method, headers, signal, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece) => { text += piece; });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function withServer(options: Partial<Pick<ServeOptions, "ground" | "onDefect">> & { token?: string }, use: (port: number, stop: () => Promise<void>) => Promise<void>): Promise<void> {
  const access: Access = { hosts: new Set(loopbackNames), token: options.token };
  const { server, stop } = createPageServer({
    page: join(folder, "page"),
    model: join(folder, "model"),
    access,
    ground: options.ground ?? (async () => ({})),
    onDefect: options.onDefect ?? ((error) => assert.fail(String(error))),
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use((server.address() as AddressInfo).port, stop);
  } finally {
    await stop();
  }
}

describe("files", () => {
  test("come with a policy that lets the page talk to its own server only", () => withServer({}, async (port) => {
    const { status, headers, body } = await ask(port, "/");
    assert.deepEqual([status, body], [200, "the page"]);
    const policy = String(headers["content-security-policy"]);
    for (const part of ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), part);
    assert.ok(!/https?:|\*/.test(policy));
    assert.equal(headers["x-content-type-options"], "nosniff");
  }));

  test("of the model come by ranges", () => withServer({}, async (port) => {
    const { status, headers, body } = await ask(port, "/model/unet/weights.bin", { headers: { range: "bytes=2-4" } });
    assert.deepEqual([status, headers["content-range"], body], [206, "bytes 2-4/10", "234"]);
  }));

  const outside = [
    "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/model/../../secret.txt", "/model/..%2f..%2fsecret.txt", "/model/%2e%2e%2fsecret.txt",
    "/model/....//secret.txt", "/..\\secret.txt", "/%5c..%5csecret.txt", "/model/unet/%00", "//secret.txt", `/${"../".repeat(40)}etc/passwd`, "/.hidden", "http://127.0.0.1/../secret.txt", "/%",
  ];
  for (const path of outside) {
    test(`outside of the folders are not there: ${path.slice(0, 40)}`, () => withServer({}, async (port) => {
      const { status, body } = await ask(port, path);
      assert.ok(status === 404 || status === 400, String(status));
      assert.ok(!body.includes("secret\n") && body !== "secret" && !body.includes("root:"));
    }));
  }

  test("are only read", () => withServer({}, async (port) => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) assert.equal((await ask(port, "/", { method })).status, 405);
  }));
});

describe("other sites", () => {
  test("that made their name lead here are refused", () => withServer({}, async (port) => {
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "localhost@evil.example"]) assert.ok([400, 403].includes((await ask(port, "/", { headers: { host } })).status), host);
    for (const host of [`localhost:${port}`, "127.0.0.1", "[::1]:9", "LOCALHOST"]) assert.equal((await ask(port, "/", { headers: { host } })).status, 200, host);
  }));

  test("cannot send or read", () => withServer({}, async (port) => {
    const status = async (path: string, headers: OutgoingHttpHeaders, method = "GET") => (await ask(port, path, { method, headers })).status;
    assert.equal(await status("/api/ground?phrase=x", { origin: "https://evil.example" }, "POST"), 403);
    assert.equal(await status("/api/ground?phrase=x", { origin: "null" }, "POST"), 403);
    assert.equal(await status("/model/unet/weights.bin", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }), 403);
    assert.equal(await status("/", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" }), 403);
    assert.equal(await status("/", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }), 200);
    assert.equal(await status("/api/ground?phrase=x", { origin: `http://127.0.0.1:${port}`, "sec-fetch-site": "same-origin" }, "POST"), 200);
  }));
});

describe("a token", () => {
  const token = "a b+c/%";
  test("opens what is closed without it, and leaves the address", () => withServer({ token }, async (port) => {
    const status = async (path: string, headers: OutgoingHttpHeaders = {}) => (await ask(port, path, { headers })).status;
    assert.equal(await status("/"), 401);
    assert.equal(await status("/model/unet/weights.bin"), 401);
    assert.equal(await status("/?token=wrong"), 401);
    const login = await ask(port, `/?token=${encodeURIComponent(token)}`);
    assert.deepEqual([login.status, login.headers.location], [303, "/"]);
    const cookie = String(login.headers["set-cookie"]);
    assert.match(cookie, /HttpOnly.*SameSite=Strict/);
    assert.equal(await status("/", { cookie: `other=1; ${cookie.split(";")[0]}` }), 200);
    assert.equal(await status("/", { authorization: `Bearer ${token}` }), 200);
    assert.equal(await status("/", { authorization: "Bearer wrong" }), 401);
  }));
});

/** A job that the test ends. */
function held() {
  let end = () => {};
  const ended = new Promise<void>((resolve) => { end = resolve; });
  let begin = () => {};
  const begun = new Promise<void>((resolve) => { begin = resolve; });
  return { begun, end, ground: async () => { begin(); await ended; return { done: true }; } };
}

describe("requests to compute", () => {
  const post = (port: number, query: string, body = new Uint8Array(4), signal?: AbortSignal) => ask(port, `/api/ground?${query}`, { method: "POST", body }, signal);

  test("get the bytes and the settings, and give the result", () => withServer({ ground: async (image, query) => ({ bytes: [...image], phrase: query.get("phrase") }) }, async (port) => {
    const { status, headers, body } = await post(port, "phrase=left%20effusion", new Uint8Array([1, 2]));
    assert.equal(status, 200);
    assert.equal(headers["cache-control"], "no-store");
    assert.deepEqual(JSON.parse(body), { bytes: [1, 2], phrase: "left effusion" });
    assert.equal((await ask(port, "/api/ground")).status, 405);
  }));

  test("with too large an image are refused before it is read, and where its size is not said", () => withServer({}, async (port) => {
    const tooLarge = { "content-length": MAX_BODY_BYTES + 1 };
    const refused = await ask(port, "/api/ground?phrase=x", { method: "POST", headers: tooLarge });
    assert.equal(refused.status, 413);
    const chunked = ask(port, "/api/ground?phrase=x", { method: "POST", headers: { "transfer-encoding": "chunked" }, body: new Uint8Array(MAX_BODY_BYTES + 1) });
    assert.equal(await chunked.then(({ status }) => status, ({ code }) => code === "EPIPE" || code === "ECONNRESET" ? 413 : code), 413);
    assert.equal((await post(port, "phrase=x")).status, 200);
  }));

  test("that cannot be computed do not disturb others", () => {
    const defects: unknown[] = [];
    const ground: ServeOptions["ground"] = async (_, query) => {
      if (query.get("phrase") === "bad") throw new InputError("image", "is damaged; export it again");
      if (query.get("phrase") === "defect") throw new TypeError("undefined is not a function");
      return { ok: true };
    };
    return withServer({ ground, onDefect: (error) => defects.push(error) }, async (port) => {
      const answers = await Promise.all(["good", "bad", "defect", "good"].map((phrase) => post(port, `phrase=${phrase}`)));
      assert.deepEqual(answers.map(({ status }) => status), [200, 400, 500, 200]);
      assert.equal(answers[1].body, "image: is damaged; export it again\n");
      assert.ok(!answers[2].body.includes("undefined"));
      assert.equal(defects.length, 1);
    });
  });

  test("beyond the queue's length are told to come again", async () => {
    const { begun, end, ground } = held();
    await withServer({ ground }, async (port) => {
      const first = post(port, "phrase=x");
      await begun;
      const refused: Answer[] = [];
      const others = Array.from({ length: MAX_WAITING + 2 }, () => post(port, "phrase=x").then((answer) => {
        if (answer.status === 429 && refused.push(answer) === 2) end();
        return answer.status;
      }));
      const statuses = await Promise.all([first.then(({ status }) => status), ...others]);
      assert.deepEqual(statuses.sort(), [...Array<number>(MAX_WAITING + 1).fill(200), 429, 429]);
      for (const { headers } of refused) assert.ok(Number(headers["retry-after"]) > 0);
    });
  });

  test("whose sender has gone stop", async () => {
    let aborted = () => {};
    const stopped = new Promise<void>((resolve) => { aborted = resolve; });
    const leave = new AbortController();
    const ground: ServeOptions["ground"] = (_, query, signal) => {
      if (query.get("phrase") === "stays") return Promise.resolve({});
      queueMicrotask(() => leave.abort());
      return new Promise((_, reject) => signal.addEventListener("abort", () => { aborted(); reject(signal.reason); }));
    };
    await withServer({ ground }, async (port) => {
      await assert.rejects(post(port, "phrase=leaves", undefined, leave.signal));
      await stopped;
      assert.equal((await post(port, "phrase=stays")).status, 200);
    });
  });

  test("that run are finished when the server stops; those that wait are refused", async () => {
    const { begun, end, ground } = held();
    await withServer({ ground }, async (port, stop) => {
      const running = post(port, "phrase=x");
      await begun;
      const waiting = post(port, "phrase=x");
      await new Promise((resolve) => setTimeout(resolve, 50));
      const stopped = stop();
      end();
      assert.deepEqual([(await running).status, (await waiting).status], [200, 503]);
      await stopped;
      await assert.rejects(ask(port, "/"), /ECONNREFUSED/);
    });
  });

  // Without the cut the server would wait two minutes for them.
  test("that are never sent whole are cut when the server stops, once what runs is answered", { timeout: 30_000 }, async (t) => {
    const { begun, end, ground } = held();
    await withServer({ ground }, async (port, stop) => {
      const head = `POST /api/ground?phrase=x HTTP/1.1\r\nHost: localhost\r\n`;
      const unfinished = await Promise.all([head, `${head}Content-Length: 100\r\n\r\nfirst bytes`, `${head}Transfer-Encoding: chunked\r\n\r\n4\r\nfour`].map((text) => sendRaw(t, port, text)));
      const running = post(port, "phrase=x");
      await begun;
      const stopped = stop();
      end();
      assert.deepEqual([(await running).status, JSON.parse((await running).body)], [200, { done: true }]);
      await stopped;
      await Promise.all(unfinished.map((socket) => socket.closed || once(socket, "close")));
    });
  });
});

/** Sends bytes as they are over a connection that stays open. */
async function sendRaw(t: TestContext, port: number, text: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {}).resume();
  t.after(() => socket.destroy());
  await once(socket, "connect");
  socket.write(text);
  return socket;
}
