/**
 * The library in a dedicated worker, for pages.
 * @module attnscope/worker
 */
import type { MemoryReport } from "../gpu/buffers.ts";
import type { Film } from "../data/film.ts";
import { planPreprocess } from "../data/preprocess.ts";
import { overlay } from "../data/render.ts";
import { DeviceError } from "../errors.ts";
import type { AdapterFacts } from "../gpu/gpu.ts";
import type { OpenOptions } from "../gpu/open.ts";
import type { Profile } from "../gpu/profile.ts";
import type { Exploration, ExploreOptions, ExploredMap, MapChoice } from "../grounding/exploration.ts";
import type { GroundOptions, GroundRequest, StreamedMap } from "../grounding/pipeline.ts";
import type { GroundResult } from "../grounding/result.ts";
import { streamMaps } from "../grounding/stream.ts";
import type { CallEvent, Handle, ModelFacts, SentResult, SentSource, WorkerMethods, WorkerPipelineOptions } from "./methods.ts";
import { type Call, type Reply, receiveError } from "./protocol.ts";

export * from "../errors.ts";

/** The library in a dedicated worker: the page stays free while it computes. The names are the library's own. */
export interface LibraryWorker {
  /** Opens the browser's GPU in the worker. Throws NoAdapterError where there is none. */
  openGpu(options?: Omit<OpenOptions, "device">): Promise<WorkerGpu>;
  /**
   * Loads a model folder in the diffusers layout.
   * @param source a URL, which may be relative to the page; files of a model folder by path; or a folder that the user chose
   */
  loadPipeline(gpu: WorkerGpu, source: SentSource, options?: WorkerPipelineOptions): Promise<WorkerPipeline>;
  /** Decodes a PNG, JPEG or DICOM file to 8 bits. Throws InputError for any other. */
  decodeFilm(bytes: Uint8Array, name: string): Promise<Film>;
  /** Why it can no longer be used, once it failed or was ended: every call fails with this error. */
  readonly failure: DeviceError | undefined;
  /** Ends the worker at once; what runs, and every later call, fails with a DeviceError. */
  terminate(): void;
}

/** A device of the worker. */
export interface WorkerGpu {
  /** By which the worker knows the device. */
  readonly handle: Handle;
  /** The adapter behind the device; `software` says whether it computes on the CPU. */
  readonly adapter: AdapterFacts;
  /** Optional features that are in use. */
  readonly features: readonly string[];
  /** Live, pooled and peak bytes on the device. */
  memory(): Promise<MemoryReport>;
  /** Closes the device. What was loaded on it can no longer be used. */
  close(): Promise<void>;
}

/** A pipeline of the worker. */
export interface WorkerPipeline {
  /** Its name, hash, type, sizes and layers, told when it was loaded. */
  readonly model: ModelFacts;
  /** Where `phrase` points in `film`. Throws InputError for settings or phrases that cannot be used. */
  ground(film: Film, phrase: string, options?: GroundOptions): Promise<GroundResult>;
  /** Grounds several requests at once: phrases on one film share its latent, all share the batches. */
  groundMany(requests: readonly GroundRequest[], options?: GroundOptions): Promise<GroundResult[]>;
  /** The maps so far as timesteps arrive; the last comes with the result. Leaving the loop early stops the work. */
  groundStream(film: Film, phrase: string, options?: GroundOptions): AsyncGenerator<StreamedMap>;
  /** Keeps all that is captured in the worker, so that maps of other choices are there at once: see `explore` of attnscope/models. */
  explore(film: Film, phrase: string, options?: ExploreOptions): Promise<WorkerExploration>;
  /** Times every dispatch of one grounding. */
  profile(film: Film, phrase: string, options?: GroundOptions): Promise<Profile>;
  /** Gives the model's memory back. */
  free(): Promise<void>;
}

/** An exploration of the worker. */
export interface WorkerExploration extends Omit<Exploration, "map" | "free"> {
  /** The map of a choice, without the U-Net. */
  map(choice: MapChoice): Promise<ExploredMap>;
  /** Gives the memory of what was captured back. */
  free(): Promise<void>;
}

type Watched = { signal?: AbortSignal } & { [E in CallEvent]?: (...data: never[]) => void };

/** Starts the worker. `worker`: one of the caller's own, whose script imports `attnscope/worker-host`. */
export function startWorker(worker: Worker = new Worker(new URL("./worker_host.js", import.meta.url), { type: "module" })): LibraryWorker {
  const { call, end, failure } = connect(worker);
  return {
    get failure() {
      return failure();
    },
    terminate: () => end("the worker was ended"),
    async openGpu(options = {}) {
      const { gpu, adapter, features } = await call("openGpu", [options]);
      return { handle: gpu, adapter, features, memory: () => call("memory", [gpu]), close: () => call("closeGpu", [gpu]) };
    },
    async loadPipeline(gpu, source, options = {}) {
      const place = typeof source === "string" ? new URL(source, document.baseURI).href : source;
      const { pipeline, model } = await call("loadPipeline", [gpu.handle, place, cloneable(options)], options);
      return pipelineOf(call, pipeline, model);
    },
    decodeFilm: (bytes, name) => call("decodeFilm", [bytes, name]),
  };
}

type CallWorker = ReturnType<typeof connect>["call"];

function pipelineOf(call: CallWorker, pipeline: Handle, model: ModelFacts): WorkerPipeline {
  const groundMany = async (requests: readonly GroundRequest[], options: GroundOptions = {}) => {
    const results = await call("groundMany", [pipeline, requests, cloneable(options)], options);
    return results.map((result, i) => resultOf(result, requests[i].film));
  };
  const ground = async (film: Film, phrase: string, options?: GroundOptions) => (await groundMany([{ film, phrase }], options))[0];
  return {
    model, ground, groundMany,
    groundStream: (film, phrase, options) => streamMaps((watched) => ground(film, phrase, watched), options),
    async explore(film, phrase, options = {}) {
      const { exploration, ...facts } = await call("explore", [pipeline, film, phrase, cloneable(options)], options);
      return { ...facts, map: (choice) => call("exploredMap", [exploration, choice]), free: () => call("freeExploration", [exploration]) };
    },
    profile: (film, phrase, options = {}) => call("profile", [pipeline, film, phrase, cloneable(options)], options),
    free: () => call("freePipeline", [pipeline]),
  };
}

/** Options without signals and functions, which cannot be cloned. */
function cloneable<O extends object>(options: O): O {
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => name !== "signal" && typeof value !== "function")) as O;
}

function resultOf(result: SentResult, film: Film): GroundResult {
  const { map, side, imageSize } = result;
  return { ...result, film, overlay: (options) => overlay(film, map, side, planPreprocess(film.width, film.height, imageSize), options) };
}

/** Calls by number, and what waits for their answers. */
function connect(worker: Worker) {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void; options: Watched }>();
  let next = 1;
  let failure: DeviceError | undefined;
  const end = (why: string) => {
    worker.terminate();
    failure ??= new DeviceError(why);
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  };
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
    const call = waiting.get(data.id);
    if (!call) return;
    if ("event" in data) return void (call.options[data.event as CallEvent] as ((...data: unknown[]) => void) | undefined)?.(...(data.data as unknown[]));
    waiting.delete(data.id);
    if ("error" in data) call.reject(receiveError(data.error));
    else call.resolve(data.value);
  });
  worker.addEventListener("error", (event) => end(`the worker failed: ${event.message || "its script cannot be loaded"}`));
  const call = async <M extends keyof WorkerMethods>(method: M, args: Parameters<WorkerMethods[M]>, options: Watched = {}): Promise<ReturnType<WorkerMethods[M]>> => {
    const { signal } = options;
    signal?.throwIfAborted();
    if (failure) throw failure;
    const id = next++;
    const cancel = () => worker.postMessage({ id, cancelled: true });
    signal?.addEventListener("abort", cancel);
    const answered = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject, options }));
    worker.postMessage({ id, method, args } satisfies Call);
    return answered.finally(() => signal?.removeEventListener("abort", cancel)) as Promise<ReturnType<WorkerMethods[M]>>;
  };
  return { call, end, failure: () => failure };
}
