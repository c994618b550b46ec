/**
 * The parts that a pipeline is made of, for those who put together their own.
 * @module attnscope/models
 */
export { AutoencoderKL, readVaeConfig, type VaeConfig } from "./models/vae.ts";
export { BertModel, readBertConfig, type BertConfig } from "./models/bert.ts";
export { ClipTextModel, readClipTextConfig, type ClipTextConfig } from "./models/clip.ts";
export { UNet2DConditionModel } from "./models/unet.ts";
export { readUNetConfig, type UNetConfig } from "./models/unet_config.ts";
export type { AttentionSink, KeyValues, TextContext } from "./models/transformer.ts";
export { loadModel, type LoadOptions } from "./models/load.ts";
export { loadLatentDiffusion, loadLatentEncoders, type LatentDiffusion, type LatentEncoders, type LdmOptions } from "./models/ldm.ts";
export { Schedule } from "./diffusion/schedule.ts";

export * from "./ops/batch_norm.ts";
export * from "./ops/pool.ts";
export { BioViLImageModel, bioViLImage, type BioViLImageConfig } from "./models/biovil.ts";
export { DenseNet, denseNet121, type DenseNetConfig } from "./models/densenet.ts";
export { InceptionV3 } from "./models/inception.ts";
export { embedFilm, embedPhrases, loadBioViL, mapPhrases, type BioViL, type BioViLMap, type BioViLOptions, type EmbeddedFilm } from "./baselines/biovil.ts";

export { GroundingPipeline } from "./grounding/pipeline.ts";
export { explore, type Exploration, type ExploreOptions, type ExploredMap, type MapChoice, type PartialMap } from "./grounding/exploration.ts";
export { capturePasses, requestsAtOnce, type CapturedPass, type CaptureOptions, type SweepRequest } from "./sweep/capture.ts";
export { completeGrid, defaultGrid, type LayerSets, type SweepGrid, type SweptSettings } from "./sweep/grid.ts";
export { pickMeans, readMeans, uploadMeans, type LayerMeans, type TargetMeans } from "./sweep/layer_means.ts";
export { layerObjective, type ObjectiveOptions, type SearchedMetric, type Truth } from "./sweep/layer_objective.ts";
export { searchLayers, type LayerObjective, type SearchOptions, type Trial } from "./sweep/layer_search.ts";
export { sweep, sweptMaps, type SweptMap } from "./sweep/sweep.ts";
export { defaultSettings } from "./grounding/options.ts";
export { MemoryBiasStore, type BiasStore } from "./grounding/phrase_bias.ts";

export { chooseTokens, type TokenChoice } from "./text/token_choice.ts";
export { loadTokenizer, type Encoding, type Tokenizer } from "./text/tokenizer.ts";
export { openCheckpoint } from "./weights/open_checkpoint.ts";
export { directoryFolder } from "./weights/directory_source.ts";
export { fileFolder, type ByteSource, type FolderSource } from "./weights/byte_source.ts";
export { openUrlFolder } from "./weights/http_source.ts";
export { openOpfsStore } from "./weights/opfs_store.ts";
export { cachedFolder, type CacheOptions, type OpenPieceStore, type PieceStore } from "./weights/piece_cache.ts";
