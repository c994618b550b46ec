import { createHash } from "node:crypto";
import { relative } from "node:path";
import type { DataSample } from "../data/layouts/layout.ts";

/** SHA-256 of values that are plain JSON, in their order. */
export function hashOf(values: Iterable<unknown>): string {
  const hash = createHash("sha256");
  for (const value of values) hash.update(`${JSON.stringify(value)}\n`);
  return hash.digest("hex");
}

/** SHA-256 of a data set's samples, as far as training reads them. Images go by their paths from `folder`: the data set may be moved. */
export function fingerprint(samples: readonly Pick<DataSample, "id" | "imagePath" | "caption">[], folder: string): string {
  return hashOf(samples.map(({ id, imagePath, caption }) => [id, relative(folder, imagePath).replaceAll("\\", "/"), caption]));
}
