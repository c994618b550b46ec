// The door for Node: Dawn, the file system, native image decoding.
import type { Gpu } from "./gpu/gpu.ts";
import type { GroundingPipeline } from "./grounding/pipeline.ts";
import { type PipelineOptions, loadPipelineOn } from "./load_pipeline.ts";
import { nodePlatform } from "./platform_node.ts";
import type { FolderSource } from "./weights/byte_source.ts";

export * from "./index.ts";
export { openGpu } from "./gpu/open_node.ts";
export { decodeFilm, readFilm } from "./data/decode_node.ts";
export type { PipelineOptions } from "./load_pipeline.ts";

/** Loads a model folder in the diffusers layout: a path, a URL, or a reader of the caller's own. */
export function loadPipeline(gpu: Gpu, source: string | FolderSource, options: PipelineOptions = {}): Promise<GroundingPipeline> {
  return loadPipelineOn(nodePlatform, gpu, source, options);
}
