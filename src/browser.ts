// The door for browsers: navigator.gpu, requests, the browser's own image decoding.
import type { Gpu } from "./gpu/gpu.ts";
import { type OpenOptions, openGpuOn } from "./gpu/open.ts";
import type { GroundingPipeline } from "./grounding/pipeline.ts";
import { type PipelineOptions, loadPipelineOn } from "./load_pipeline.ts";
import { browserPlatform } from "./platform_browser.ts";
import type { FolderSource } from "./weights/byte_source.ts";

export * from "./index.ts";
export { decodeFilm } from "./data/decode_browser.ts";
export type { PipelineOptions } from "./load_pipeline.ts";

/** Opens the browser's GPU, or wraps the caller's device. */
export function openGpu(options: OpenOptions = {}): Promise<Gpu> {
  return openGpuOn(globalThis.navigator?.gpu, options, "use a browser with WebGPU on a page served over https or from localhost");
}

/** Loads a model folder in the diffusers layout: a URL, or a reader of the caller's own. */
export function loadPipeline(gpu: Gpu, source: string | FolderSource, options: PipelineOptions = {}): Promise<GroundingPipeline> {
  return loadPipelineOn(browserPlatform, gpu, source, options);
}
