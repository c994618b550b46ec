// @ts-check
/**
 * Opens the adapter that Dawn chooses and prints it as one JSON line: `{ "adapter": text }` or `{ "reason": text }`.
 * A program of its own, since a bad driver can take the process down with it.
 */
import { create } from "webgpu";

// Dawn's instance must stay reachable while a device lives: collected earlier, it takes the process down.
const gpu = create([]);

/** @returns {Promise<{ adapter: string } | { reason: string }>} */
async function probe() {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return { reason: "Dawn finds no adapter" };
  const { vendor, architecture, device, description } = adapter.info;
  if (device === "null-backend") return { reason: "Dawn offers its Null backend only, which computes nothing" };
  const opened = await adapter.requestDevice();
  opened.destroy();
  return { adapter: description || [vendor, architecture, device].filter(Boolean).join(" ") };
}

console.log(JSON.stringify(await probe()));
process.exit(0);
