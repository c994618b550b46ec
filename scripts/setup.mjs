// @ts-check
/**
 * Makes sure that Dawn finds an adapter on this machine, and remembers how.
 *   node scripts/setup.mjs           looks unless the remembered adapter still holds
 *   node scripts/setup.mjs --probe   looks in any case
 */
import { ensureAdapter } from "./adapter/ensure.mjs";
import { endWith } from "./process.mjs";

await endWith(async () => {
  await ensureAdapter({ again: process.argv.includes("--probe") });
  return 0;
});
