import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { openGoldens } from "../src/cli/verify.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { passes } from "../src/verify/parts.ts";
import { type GoldenResult, verifyGoldens } from "../src/verify/verify.ts";
import { sharedPath } from "./shared.ts";

/** A temporary folder of goldens: copies of some files of the shared ones, links to their companions. Removed after the tests. */
export function copyGoldens(files: readonly string[], companions: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), "attnscope-goldens-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  for (const file of files) copyFileSync(sharedPath(`goldens/${file}`) as string, join(folder, file));
  for (const name of companions) symlinkSync(sharedPath(`goldens/${name}`) as string, join(folder, name));
  return folder;
}

/** Changes one float of a tensor in a safetensors file. */
export function changeValue(path: string, tensor: string, index: number, change: (value: number) => number): void {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString()) as Record<string, { dtype: string; data_offsets: [number, number] }>;
  const { dtype, data_offsets } = header[tensor];
  if (dtype !== "F32") throw new Error(`${tensor} is ${dtype}`);
  const offset = 8 + headerBytes + data_offsets[0] + 4 * index;
  bytes.writeFloatLE(change(bytes.readFloatLE(offset)), offset);
  writeFileSync(path, bytes);
}

/** Changes a JSON file. */
export function changeJson<T>(path: string, change: (value: T) => unknown): void {
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, "utf8")) as T)));
}

/** Names of the parts that are out of their bounds. */
export function outOfBounds({ parts }: GoldenResult): string[] {
  return parts.filter((part) => !passes(part)).map(({ name }) => name);
}

/** The results of all goldens of a folder, or of those named. */
export async function verifyFolder(gpu: Gpu, folder: string, only?: string[]): Promise<GoldenResult[]> {
  const results: GoldenResult[] = [];
  for await (const result of verifyGoldens(await openGoldens(gpu, folder), only)) results.push(result);
  return results;
}
