import type { Profile, ProfileRow } from "../src/gpu/profile.ts";
import type { Roofs } from "../src/profile/measures.ts";
import { type SavedProfile, profileFormat } from "../src/profile/saved_profile.ts";
import { summarise } from "../src/profile/summary.ts";

/** Roofs that make sums easy: 1 GB/s is 1e6 bytes a millisecond. */
export const roofs: Roofs = { copyGBps: 1, fmaGflops: 10, matmulGflops: 5, emptyDispatchMs: 0.01 };

/** A dispatch of a made-up profile. */
export function row(of: Partial<ProfileRow>): ProfileRow {
  const full = { scope: "unet/mid", kernel: "matmul/matmul_tiled", variant: "T=f32", grid: [4, 1, 1] as const, submission: 0, startMs: 0, ms: 1, flops: 5e6, bytes: 1e5, gflops: 0, gbps: 0, ...of };
  return { ...full, gflops: full.ms > 0 ? full.flops / full.ms / 1e6 : 0, gbps: full.ms > 0 ? full.bytes / full.ms / 1e6 : 0 };
}

/** A profile of these dispatches, a submission a number. */
export function profileOf(rows: ProfileRow[]): Profile {
  const submissions = [...new Set(rows.map(({ submission }) => submission))].map((submission) => ({ startMs: 0, encodeMs: 1, dispatches: rows.filter((of) => of.submission === submission).length }));
  return {
    rows,
    submissions,
    memory: { start: { pooled: 0, byScope: { weights: 1024 } }, events: [] },
    sources: new Map(rows.map(({ kernel, variant }) => [`${kernel} ${variant}`, `// ${kernel}: a < b && c\nfn main() {}`])),
    wallMs: 100,
    quantumNs: 1,
  };
}

/** A saved profile of these dispatches. */
export function savedProfile(rows: ProfileRow[], settings: SavedProfile["work"]["settings"] = { steps: 2 }): SavedProfile {
  const { memory, ...summary } = summarise(profileOf(rows), roofs);
  return {
    format: profileFormat,
    version: "1.2.3",
    work: { what: "unet", title: "two passes", model: "a <model>", settings },
    device: { adapter: "an adapter", driver: "a driver", software: false, features: ["timestamp-query"] },
    notes: ["timestamps are rounded"],
    wall: { firstMs: 300, againMs: 90, profiledMs: 100, pipelines: 3 },
    host: { submissions: 1, dispatches: rows.length, encodeMs: 2, medianDispatchUs: 3 },
    ...summary,
    memory: { ...memory, peakHeldBytes: 4096 },
  };
}
