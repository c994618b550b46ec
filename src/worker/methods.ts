import type { Film } from "../data/film.ts";
import type { AdapterFacts } from "../gpu/gpu.ts";
import type { MemoryReport } from "../gpu/buffers.ts";
import type { Profile } from "../gpu/profile.ts";
import type { ExploreOptions, Exploration, ExploredMap, MapChoice } from "../grounding/exploration.ts";
import type { GroundOptions, GroundRequest } from "../grounding/pipeline.ts";
import type { GroundResult } from "../grounding/result.ts";
import type { OpenOptions } from "../gpu/open.ts";
import type { PipelineOptions } from "../load_pipeline.ts";

/** Something that stays in the worker, by number. */
export type Handle = number;

/** Options without what cannot be cloned: signals and callbacks have ways of their own. */
export type Sent<O> = Omit<O, "signal" | CallEvent | "store" | "device">;

/** Where a model comes from: a URL, files of its folder by path, or a folder that the user chose. */
export type SentSource = string | ReadonlyMap<string, Blob> | FileSystemDirectoryHandle;

/** Options of a worker's `loadPipeline`. */
export interface WorkerPipelineOptions extends Omit<PipelineOptions, "store"> {
  /** Keep the weights of a URL in the browser, for the next visit. Default: true. */
  keep?: boolean;
  /** What the visitor should know of the loading, such as that the weights could not be kept. */
  onNote?: (note: string) => void;
}

/** What is known of a model that was loaded. */
export interface ModelFacts {
  name: string;
  sha256: string;
  dtype: string;
  /** Side of the model's image in pixels. */
  imageSize: number;
  /** Names of the cross-attention layers. */
  layers: string[];
}

/** A result without what cannot be cloned, and without the film, which the client has. */
export type SentResult = Omit<GroundResult, "overlay" | "film">;

/** What the worker does: the library's functions, with handles for what stays on the device. */
export interface WorkerMethods {
  openGpu(options: Sent<OpenOptions>): { gpu: Handle; adapter: AdapterFacts; features: string[] };
  memory(gpu: Handle): MemoryReport;
  closeGpu(gpu: Handle): void;
  loadPipeline(gpu: Handle, source: SentSource, options: Sent<WorkerPipelineOptions>): { pipeline: Handle; model: ModelFacts };
  freePipeline(pipeline: Handle): void;
  groundMany(pipeline: Handle, requests: readonly GroundRequest[], options: Sent<GroundOptions>): SentResult[];
  explore(pipeline: Handle, film: Film, phrase: string, options: Sent<ExploreOptions>): Omit<Exploration, "map" | "free"> & { exploration: Handle };
  exploredMap(exploration: Handle, choice: MapChoice): ExploredMap;
  freeExploration(exploration: Handle): void;
  /** Times every dispatch of one grounding. */
  profile(pipeline: Handle, film: Film, phrase: string, options: Sent<GroundOptions>): Profile;
  decodeFilm(bytes: Uint8Array, name: string): Film;
}

/** Events of a call, by the name of the option that is called with them. */
export type CallEvent = "onProgress" | "onPartial" | "onNote";
