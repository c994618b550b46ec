import { copy } from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { adapterName } from "../gpu/open.ts";
import type { Profile, ProfileSubmission } from "../gpu/profile.ts";
import { zeros } from "../ops/fill.ts";
import { measurePeaks } from "../peaks.ts";
import { median } from "../statistics.ts";
import type { Roofs } from "./measures.ts";
import { type ProfiledWork, type SavedProfile, profileFormat } from "./saved_profile.ts";
import { summarise } from "./summary.ts";

/** Work that can be profiled. */
export interface Workload extends ProfiledWork {
  /** Does all of it once. */
  run(): Promise<void>;
  free(): void;
}

/** What profiling leaves: all that is shown, and every dispatch for a trace. */
export interface ProfiledRun {
  saved: SavedProfile;
  profile: Profile;
}

/** Does the work three times: to compile its kernels, to see what it takes undisturbed, and profiled. The roofs are measured before and after. */
export async function profileWork(gpu: Gpu, work: Workload, options: { version: string; onStage?: (stage: string) => void }): Promise<ProfiledRun> {
  const { onStage } = options;
  onStage?.("measuring the device's roofs");
  const roofsBefore = await measureRoofs(gpu);
  const pipelines = gpu.pipelineCount;
  onStage?.("first run: kernels are compiled");
  const firstMs = await timed(gpu, work);
  const compiled = gpu.pipelineCount - pipelines;
  onStage?.("second run: undisturbed");
  const undisturbed = await gpu.profile(() => work.run(), { timestamps: false });
  onStage?.("third run: profiled");
  gpu.resetPeak();
  const profile = await gpu.profile(() => work.run());
  const peakHeldBytes = gpu.memory().peakHeld;
  const summary = summarise(profile, betterOf(roofsBefore, await measureRoofs(gpu)));
  const { what, title, model, settings } = work;
  const saved: SavedProfile = {
    format: profileFormat,
    version: options.version,
    work: { what, title, model, settings },
    device: describeDevice(gpu),
    notes: notesOf(gpu, profile),
    wall: { firstMs, againMs: undisturbed.wallMs, profiledMs: profile.wallMs, pipelines: compiled },
    host: hostTimes(undisturbed),
    ...summary,
    memory: { ...summary.memory, peakHeldBytes },
  };
  return { saved, profile };
}

function hostTimes({ submissions }: Profile): SavedProfile["host"] {
  const sum = (of: (submission: ProfileSubmission) => number) => submissions.reduce((total, submission) => total + of(submission), 0);
  // Every dispatch counts with the mean of its submission.
  const perDispatch = submissions.flatMap(({ encodeMs, dispatches }) => Array<number>(dispatches).fill((1e3 * encodeMs) / dispatches));
  return { submissions: submissions.length, dispatches: sum(({ dispatches }) => dispatches), encodeMs: sum(({ encodeMs }) => encodeMs), medianDispatchUs: median(perDispatch) };
}

async function timed(gpu: Gpu, work: Workload): Promise<number> {
  await gpu.sync();
  const start = performance.now();
  await work.run();
  await gpu.sync();
  return performance.now() - start;
}

const emptyDispatches = 64;

/** Measures what a device reaches at best, and what a dispatch takes that does nothing. */
async function measureRoofs(gpu: Gpu): Promise<Roofs> {
  const peaks = await measurePeaks(gpu);
  const [x, y] = [zeros(gpu, [4]), zeros(gpu, [4])];
  const { rows } = await gpu.profile(() => {
    for (let i = 0; i < emptyDispatches; i++) gpu.run(copy, { bindings: { x, y }, params: { count: 0 }, prelude: {}, grid: 1 });
  });
  x.free();
  y.free();
  gpu.trim();
  return { ...peaks, emptyDispatchMs: Math.min(...rows.map(({ ms }) => ms)) };
}

/** Roofs are what is reached at best: a busy moment of the machine must not lower them. */
function betterOf(a: Roofs, b: Roofs): Roofs {
  return {
    copyGBps: Math.max(a.copyGBps, b.copyGBps),
    fmaGflops: Math.max(a.fmaGflops, b.fmaGflops),
    matmulGflops: Math.max(a.matmulGflops, b.matmulGflops),
    emptyDispatchMs: Math.min(a.emptyDispatchMs, b.emptyDispatchMs),
  };
}

function describeDevice({ adapter, device }: Gpu): SavedProfile["device"] {
  const { description, software } = adapter;
  return { adapter: adapterName(adapter), driver: description, software, features: [...device.features].sort() };
}

function notesOf(gpu: Gpu, { note }: Profile): string[] {
  return [
    ...(note ? [note] : []),
    ...(gpu.variantChoices ? ["kernels are those that attnscope tune chose: ATTNSCOPE_TUNING=off shows the defaults"] : []),
    ...(gpu.adapter.software ? ["this adapter computes on the CPU: other programs take part of its time, and what is fast on it need not be fast on a GPU"] : []),
  ];
}
