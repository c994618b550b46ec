import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

// What must be documented, and that a warning is an error, typedoc.json says.
test("every exported name has a docstring that typedoc can read", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["node_modules/typedoc/bin/typedoc", "--emit", "none"], { cwd: root, encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
});
