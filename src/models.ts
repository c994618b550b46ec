// The door attnscope/models: the parts that a pipeline is made of, for those who put together their own.
export { AutoencoderKL, readVaeConfig, type VaeConfig } from "./models/vae.ts";
export { BertModel, readBertConfig, type BertConfig } from "./models/bert.ts";
export { ClipTextModel, readClipTextConfig, type ClipTextConfig } from "./models/clip.ts";
export { UNet2DConditionModel } from "./models/unet.ts";
export { readUNetConfig, type UNetConfig } from "./models/unet_config.ts";
export type { AttentionSink, KeyValues, TextContext } from "./models/transformer.ts";
export { loadModel, type LoadOptions } from "./models/load.ts";
export { loadLatentDiffusion, loadLatentEncoders, type LatentDiffusion, type LatentEncoders, type LdmOptions } from "./models/ldm.ts";
export { Schedule } from "./diffusion/schedule.ts";

export { GroundingPipeline } from "./grounding/pipeline.ts";
export { explore, type Exploration, type ExploreOptions, type ExploredMap, type MapChoice, type PartialMap } from "./grounding/exploration.ts";
export { defaultSettings } from "./grounding/options.ts";
export { MemoryBiasStore, type BiasStore } from "./grounding/phrase_bias.ts";

export { chooseTokens, type TokenChoice } from "./text/token_choice.ts";
export { loadTokenizer, type Encoding, type Tokenizer } from "./text/tokenizer.ts";
export { openCheckpoint } from "./weights/open_checkpoint.ts";
export { fileFolder, type ByteSource, type FolderSource } from "./weights/byte_source.ts";
