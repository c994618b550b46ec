import type { MemoryTimeline, Profile } from "../gpu/profile.ts";

const device = { pid: 1, tid: 1 };
const host = { pid: 2, tid: 1 };

/**
 * A profile in Chrome's trace event format, for chrome://tracing and Perfetto: dispatches of the device, submissions of
 * the host, and the memory as counters. Times in microseconds.
 */
export function chromeTrace(profile: Profile): string {
  const dispatches = profile.rows.map(({ kernel, scope, startMs, ms, submission, ...facts }) => ({
    ph: "X", ...device, name: kernel, cat: scope, ts: startMs * 1e3, dur: ms * 1e3,
    args: { scope, submission, variant: facts.variant, choice: facts.choice, workgroups: facts.grid, gflops: facts.gflops, gbps: facts.gbps, flops: facts.flops, bytes: facts.bytes },
  }));
  const submissions = profile.submissions.map(({ startMs, encodeMs, dispatches }, submission) => ({
    ph: "X", ...host, name: `encode ${dispatches} dispatches`, cat: "encode", ts: startMs * 1e3, dur: encodeMs * 1e3, args: { submission },
  }));
  return JSON.stringify({
    traceEvents: [nameOf("process_name", device, "GPU"), nameOf("process_name", host, "host"), nameOf("thread_name", host, "encode and submit"), ...dispatches, ...submissions, ...counters(profile.memory)],
    otherData: profile.note ? { note: profile.note } : {},
  });
}

function nameOf(kind: "process_name" | "thread_name", of: { pid: number; tid: number }, name: string) {
  return { ph: "M", ...of, name: kind, args: { name } };
}

function counters({ start, events }: MemoryTimeline) {
  let live = Object.values(start.byScope).reduce((sum, bytes) => sum + bytes, 0);
  const counter = (ms: number, pooled: number) => ({ ph: "C", pid: host.pid, name: "GPU memory", ts: ms * 1e3, args: { live, pooled } });
  return [
    counter(0, start.pooled),
    ...events.map(({ ms, bytes, pooled }) => {
      live += bytes;
      return counter(ms, pooled);
    }),
  ];
}
