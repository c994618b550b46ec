/**
 * The door for browsers: navigator.gpu, requests, the browser's own image decoding. What reads models and images is
 * fetched when it is first called.
 * @module attnscope (browsers)
 */
import type { Film } from "./data/film.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { type OpenOptions, openGpuOn } from "./gpu/open.ts";
import type { GroundingPipeline } from "./grounding/pipeline.ts";
import type { PipelineOptions } from "./load_pipeline.ts";
import type { FolderSource } from "./weights/byte_source.ts";

export * from "./index.ts";
export type { PipelineOptions } from "./load_pipeline.ts";

/** Opens the browser's GPU, or wraps the caller's device. */
export function openGpu(options: OpenOptions = {}): Promise<Gpu> {
  return openGpuOn(globalThis.navigator?.gpu, options, "use a browser with WebGPU on a page served over https or from localhost");
}

/** Loads a model folder in the diffusers layout: a URL, or a reader of the caller's own. */
export async function loadPipeline(gpu: Gpu, source: string | FolderSource, options: PipelineOptions = {}): Promise<GroundingPipeline> {
  const [{ loadPipelineOn }, { browserPlatform }] = await Promise.all([import("./load_pipeline.ts"), import("./platform_browser.ts")]);
  return loadPipelineOn(browserPlatform, gpu, source, options);
}

/**
 * Decodes a PNG, JPEG or DICOM file to 8 bits, recognised by its first bytes.
 * @param name for messages
 * @param dicomCodecs URL of `dcmjs-native-codecs.wasm`, which compressed DICOM needs; it lies beside this script
 * @throws InputError for a file that is empty, damaged, truncated, too large or of another kind
 */
export async function decodeFilm(bytes: Uint8Array, name: string, dicomCodecs = new URL("./dcmjs-native-codecs.wasm", import.meta.url)): Promise<Film> {
  const door = await import("./data/decode_browser.ts");
  return door.decodeFilm(bytes, name, dicomCodecs.href);
}
