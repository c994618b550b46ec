import type { Gpu } from "./gpu/gpu.ts";
import { GroundingPipeline } from "./grounding/pipeline.ts";
import type { BiasStore } from "./grounding/phrase_bias.ts";
import { type LdmOptions, loadLatentDiffusion } from "./models/ldm.ts";
import type { Platform } from "./platform.ts";
import type { FolderSource } from "./weights/byte_source.ts";

/** Options of `loadPipeline`. */
export interface PipelineOptions extends LdmOptions {
  /** Where text biases are kept between calls; in memory by default. */
  store?: BiasStore;
}

/** What both doors call `loadPipeline`: loads a model folder in the diffusers layout, with the door's platform. */
export async function loadPipelineOn(platform: Platform, gpu: Gpu, source: string | FolderSource, options: PipelineOptions = {}): Promise<GroundingPipeline> {
  const folder = typeof source === "string" ? platform.openFolder(source) : source;
  return new GroundingPipeline(await loadLatentDiffusion(gpu, platform, folder, options), { store: options.store });
}
