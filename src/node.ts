/**
 * The door for Node: Dawn, the file system, native image decoding.
 * @module attnscope (Node)
 */
import type { Gpu } from "./gpu/gpu.ts";
import type { GroundingPipeline } from "./grounding/pipeline.ts";
import { type PipelineOptions, loadPipelineOn } from "./load_pipeline.ts";
import { nodePlatform } from "./platform_node.ts";
import type { FolderSource } from "./weights/byte_source.ts";

export * from "./index.ts";
export { openGpu, type NodeOpenOptions } from "./tuning/open_gpu_node.ts";
export { decodeFilm, readFilm } from "./data/decode_node.ts";
export type { PipelineOptions } from "./load_pipeline.ts";

export { checkDataset, type CheckOptions, type CheckReport } from "./data/layouts/check_node.ts";
export { findDatasets, type DatasetFile, type DatasetName } from "./data/layouts/find_node.ts";
export type { DataProblem, DataSample, Split } from "./data/layouts/layout.ts";
export { openDataset, type Dataset, type OpenDatasetOptions } from "./data/layouts/open_node.ts";
export { readPhantomRecords } from "./data/layouts/read_phantom_node.ts";
export { writePhantomDataset, type PhantomSummary, type WritePhantomOptions } from "./data/layouts/write_phantom_node.ts";

export { chromeTrace } from "./profile/chrome_trace.ts";

export { diversityOf, drawPairs, similarity, type Diversity } from "./quality/diversity.ts";
export { featureNetworks, type FeatureKind, type FeatureNetwork } from "./quality/feature_networks.ts";
export { frechetDistance } from "./quality/frechet.ts";
export { groupByFolder, listImages, readImages } from "./quality/image_set_node.ts";
export { imageStatistics, type LoadedNetwork, type SetImage } from "./quality/image_statistics.ts";
export { multiScaleSsim } from "./quality/ms_ssim.ts";
export { RunningGaussian, type Gaussian } from "./quality/statistics.ts";

export { LOCK_FILE, lockRun } from "./runs/run_lock_node.ts";

// Training in a folder; what it is made of is in attnscope/training.
export { findLatestCheckpoint, hasCheckpoints, readConfiguration, saveCheckpoint, type FoundCheckpoint } from "./training/checkpoint_node.ts";
export { openLatents, type LatentIndex, type StoredLatents, type StoredSample } from "./training/latent_dataset_node.ts";
export { METRICS_FILE, openMetrics, readMetrics, type MetricsFile } from "./training/metrics_node.ts";
export { assembleModel, checkModelPlace } from "./training/assemble_model_node.ts";
export { filmImages, openModelFolder, type ModelFolder } from "./training/model_folder_node.ts";
export { precompute, type PrecomputeOptions } from "./training/precompute_node.ts";
export { resumeSources, type ResumeSources } from "./training/resume_node.ts";
export { runTraining, type RunOptions, type RunPart, type RunResult } from "./training/run_node.ts";
export { usableSamples, type UsableSamples, type UsableSamplesOptions } from "./training/usable_samples_node.ts";
export { openValidation, type Validation, type ValidationOptions } from "./training/validation_node.ts";

/** Loads a model folder in the diffusers layout: a path, a URL, or a reader of the caller's own. */
export function loadPipeline(gpu: Gpu, source: string | FolderSource, options: PipelineOptions = {}): Promise<GroundingPipeline> {
  return loadPipelineOn(nodePlatform, gpu, source, options);
}
