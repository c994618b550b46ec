import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { setImmediate as nextTurn, setTimeout as after } from "node:timers/promises";
import { restUntil } from "../src/gpu/rest_node.ts";

test("what a promise gives, and what it throws, comes through", async () => {
  assert.equal(await restUntil(Promise.resolve(7)), 7);
  await assert.rejects(restUntil(Promise.reject(new Error("lost"))), /lost/);
  assert.deepEqual(await Promise.all([restUntil(after(30, "late")), restUntil(after(5, "early"))]), ["late", "early"]);
});

test("timers and files are served during a wait, and nothing keeps the loop turning after it", async () => {
  let served = 0;
  const timer = setInterval(() => served++, 5);
  const wait = restUntil(after(100));
  assert.ok((await readFile(import.meta.filename)).length > 0);
  await wait;
  clearInterval(timer);
  assert.ok(served > 3, `${served} of about 20 timers`);
  await nextTurn();
  await nextTurn();
  assert.ok(!process.getActiveResourcesInfo().includes("Immediate"));
});
