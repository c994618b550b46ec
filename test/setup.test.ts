import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { backportsSource, suiteForMesa } from "../scripts/adapter/lavapipe.mjs";
import { adapterAdvice, parseRelease, waysToAdapter } from "../scripts/adapter/machine.mjs";
import type { Machine } from "../scripts/adapter/machine.mjs";
import { environmentToStartWith, stillHolds, withAdapter } from "../scripts/adapter/memory.mjs";
import type { AdapterMemory } from "../scripts/adapter/memory.mjs";
import { filesBelow, fingerprint, packagesMatch, writeWhole } from "../scripts/stamps.mjs";

const repository = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "attnscope-setup-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const debian12: Machine = {
  platform: "linux", arch: "x64", root: true, apt: true, distributions: ["debian"], codename: "bookworm",
};

describe("choosing an adapter", () => {
  const cases: [string, Partial<Machine>, string[]][] = [
    ["root on Debian: lavapipe, SwiftShader behind it", {}, ["lavapipe", "swiftshader"]],
    ["root on a derivative", { distributions: ["linuxmint", "ubuntu", "debian"] }, ["lavapipe", "swiftshader"]],
    ["a plain user", { root: false }, ["swiftshader"]],
    ["root where apt-get is not Debian's", { distributions: ["fedora"] }, ["swiftshader"]],
    ["root on Debian for ARM", { arch: "arm64" }, ["lavapipe"]],
    ["a plain user on ARM", { arch: "arm64", root: false }, []],
    ["macOS", { platform: "darwin", apt: false, distributions: [""] }, []],
  ];
  for (const [name, change, ways] of cases) {
    test(name, () => assert.deepEqual(waysToAdapter({ ...debian12, ...change }), ways));
  }

  test("the advice names the command, with sudo for a plain user", () => {
    assert.match(adapterAdvice(debian12, "scripts/setup.mjs"), /: node scripts\/setup\.mjs --probe$/);
    assert.match(adapterAdvice({ ...debian12, root: false }, "s.mjs"), /: sudo node s\.mjs --probe$/);
    assert.match(adapterAdvice({ ...debian12, apt: false }, "s.mjs"), /mesa-vulkan-drivers.* node s\.mjs --probe$/);
  });

  test("os-release with and without quotes", () => {
    const release = parseRelease("PRETTY_NAME=\"Linux Mint 22\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_CODENAME='wilma'\n");
    assert.deepEqual([release.ID, release.ID_LIKE, release.VERSION_CODENAME], ["linuxmint", "ubuntu debian", "wilma"]);
  });
});

describe("the apt source of the backports", () => {
  test("only Debian 12 needs one", () => {
    assert.equal(suiteForMesa("bookworm"), "bookworm-backports");
    assert.equal(suiteForMesa("trixie"), undefined);
    assert.equal(suiteForMesa(undefined), undefined);
  });

  test("from a deb822 stanza: same mirror, components and key; comments and other stanzas left out", () => {
    const text = `Types: deb
# a snapshot
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg
`;
    assert.deepEqual(backportsSource([{ path: "debian.sources", text }], "bookworm"), {
      state: "derived",
      extension: "sources",
      text: `Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg
`,
    });
  });

  test("from a one-line source, options kept; disabled and optical ones passed over", () => {
    const text = `# deb http://off.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb-src http://source.example/debian bookworm main
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main non-free-firmware # ours
`;
    assert.deepEqual(backportsSource([{ path: "sources.list", text }], "bookworm"), {
      state: "derived",
      extension: "list",
      text: "deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm-backports main non-free-firmware\n",
    });
  });

  test("nothing to add where it is there, nothing to derive where the release is not", () => {
    const line = (suite: string) => [{ path: "a.list", text: `deb http://mirror.example/debian ${suite} main\n` }];
    assert.deepEqual(backportsSource([...line("bookworm"), ...line("bookworm-backports")], "bookworm"), { state: "present" });
    assert.deepEqual(backportsSource(line("trixie"), "bookworm"), { state: "absent" });
    const off = "Enabled: no\nTypes: deb\nURIs: http://mirror.example\nSuites: bookworm\nComponents: main\n";
    assert.deepEqual(backportsSource([{ path: "a.sources", text: off }], "bookworm"), { state: "absent" });
  });
});

describe("stamps", () => {
  const lock = {
    packages: { "": { version: "0.1.0" }, "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "2.0.0", optional: true } },
  };
  test("packages: installed when every needed one has the lock's version", () => {
    const a = { version: "1.0.0" };
    assert.equal(packagesMatch(lock, undefined), false);
    assert.equal(packagesMatch(lock, { packages: {} }), false);
    assert.equal(packagesMatch(lock, { packages: { "node_modules/a": a } }), true);
    assert.equal(packagesMatch(lock, { packages: { "node_modules/a": { version: "1.0.1" } } }), false);
    assert.equal(packagesMatch(lock, { packages: { "node_modules/a": a, "node_modules/b": { version: "1.9.0" } } }), false);
  });

  test("sources: a change, a new file and a removed file show; generated files do not", () => {
    const root = join(scratch, "sources");
    mkdirSync(join(root, "src", "generated"), { recursive: true });
    writeFileSync(join(root, "src", "a.ts"), "1");
    const digest = () => fingerprint(root, ["src", "absent"], ["src/generated"]);
    const first = digest();
    writeFileSync(join(root, "src", "generated", "g.ts"), "generated");
    assert.equal(digest(), first);
    writeFileSync(join(root, "src", "b.ts"), "2");
    const second = digest();
    assert.notEqual(second, first);
    utimesSync(join(root, "src", "a.ts"), 1, 1);
    assert.notEqual(digest(), second);
    const third = digest();
    rmSync(join(root, "src", "b.ts"));
    assert.notEqual(digest(), third);
    assert.deepEqual(filesBelow(root, "src"), ["src/a.ts", "src/generated/g.ts"]);
  });

  test("a whole write replaces the file and leaves no part of itself", () => {
    const path = join(scratch, "whole", "stamp.json");
    writeWhole(path, "old");
    writeWhole(path, "new");
    assert.equal(readFileSync(path, "utf8"), "new");
    assert.deepEqual(readdirSync(join(scratch, "whole")), ["stamp.json"]);
  });
});

const unset = { VK_ICD_FILENAMES: null, VK_DRIVER_FILES: null };
function swiftShaderIn(folder: string): AdapterMemory {
  const driver = join(folder, "driver.json");
  return {
    way: "swiftshader",
    adapter: "SwiftShader",
    env: { VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: folder },
    under: { variables: unset, folders: [1, null, null] },
  };
}

describe("the remembered adapter", () => {
  const memory = swiftShaderIn("/s");
  test("sets its variables before the libraries already named", () => {
    assert.deepEqual(environmentToStartWith(memory, { A: "1", LD_LIBRARY_PATH: "/mine" }), {
      A: "1", VK_ICD_FILENAMES: "/s/driver.json", VK_DRIVER_FILES: "/s/driver.json", LD_LIBRARY_PATH: "/s:/mine",
    });
  });
  test("asks for no restart where nothing is needed, it has been restarted, or the user names drivers", () => {
    assert.equal(environmentToStartWith(undefined, {}), undefined);
    assert.equal(environmentToStartWith({ ...memory, way: "present", env: {} }, {}), undefined);
    assert.equal(environmentToStartWith(memory, withAdapter({}, memory.env)), undefined);
    assert.equal(environmentToStartWith(memory, { VK_DRIVER_FILES: "/mine.json" }), undefined);
  });
  test("overrides drivers that were named when it was found to be needed", () => {
    const variables = { ...unset, VK_ICD_FILENAMES: "/broken.json" };
    const found = { ...memory, under: { ...memory.under, variables } };
    assert.equal(environmentToStartWith(found, { VK_ICD_FILENAMES: "/broken.json" })?.VK_ICD_FILENAMES, "/s/driver.json");
    assert.equal(environmentToStartWith(found, {}), undefined);
  });
  test("holds while the drivers, the user's choice and its own files stay", () => {
    const folder = join(scratch, "driver");
    mkdirSync(folder);
    writeFileSync(join(folder, "driver.json"), "{}");
    const held = swiftShaderIn(folder);
    assert.equal(stillHolds(held, held.under), true);
    assert.equal(stillHolds(held, { variables: unset, folders: [2, null, null] }), false);
    assert.equal(stillHolds(held, { variables: { ...unset, VK_DRIVER_FILES: "/x" }, folders: [1, null, null] }), false);
    rmSync(join(folder, "driver.json"));
    assert.equal(stillHolds(held, held.under), false);
  });
});

describe("bin/attnscope.mjs", () => {
  /** A copy of the package with a command line that says how it was started, waits for a signal if told so, and ends with 7. */
  function packageCopy(name: string, memory?: AdapterMemory): string {
    const root = join(scratch, name);
    for (const path of ["bin", "scripts"]) cpSync(join(repository, path), join(root, path), { recursive: true });
    mkdirSync(join(root, "dist"));
    writeFileSync(join(root, "package.json"), `{"type": "module"}`);
    writeFileSync(join(root, "dist", "cli.js"), `
      const wait = process.argv[2] === "wait" && setInterval(() => {}, 1000);
      process.on("SIGINT", () => { clearInterval(wait); process.exitCode = 130; });
      process.exitCode = 7;
      console.log(JSON.stringify([process.argv.slice(2), process.env.VK_ICD_FILENAMES ?? null]));`);
    if (memory) writeWhole(join(root, ".attnscope", "gpu.json"), JSON.stringify(memory));
    return root;
  }
  const environment = { PATH: process.env.PATH };
  function start(root: string, ...args: string[]) {
    return spawnSync(process.execPath, [join(root, "bin", "attnscope.mjs"), ...args], { encoding: "utf8", env: environment });
  }

  test("passes arguments and exit code, as it is and with a remembered adapter", () => {
    const plain = start(packageCopy("plain"), "ground", "a b.png");
    assert.deepEqual([JSON.parse(plain.stdout), plain.status], [[["ground", "a b.png"], null], 7]);
    const restarted = start(packageCopy("restarted", swiftShaderIn("/s")), "doctor");
    assert.deepEqual([JSON.parse(restarted.stdout), restarted.status], [[["doctor"], "/s/driver.json"], 7]);
  });

  test("passes an interruption on and waits for the command to finish", async () => {
    const bin = join(packageCopy("interrupted", swiftShaderIn("/s")), "bin", "attnscope.mjs");
    const child = spawn(process.execPath, [bin, "wait"], { env: environment, stdio: ["ignore", "pipe", "ignore"] });
    await once(child.stdout, "data");
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [130, null]);
  });

  test("says how to build where nothing is built", () => {
    const root = packageCopy("unbuilt");
    rmSync(join(root, "dist"), { recursive: true });
    const { status, stderr } = start(root);
    assert.equal(status, 2);
    assert.match(stderr, /^attnscope: .*cli\.js is missing: type "npm start" or "npm run build" in .*\n$/);
  });
});
