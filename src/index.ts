// What both doors export: everything that runs in Node and in browsers.
export * from "./errors.ts";
export { Gpu, type AdapterFacts } from "./gpu/gpu.ts";
export type { Plan, Step } from "./gpu/step.ts";
export type { MemoryReport } from "./gpu/buffers.ts";
export { chromeTrace, type Profile, type ProfileRow } from "./gpu/profile.ts";
export { Tensor, type Dtype } from "./tensor.ts";

export { Gradients, backward, checkpoint } from "./autograd.ts";
export { Tape, differentiable, withTape, type Differentiation, type GradientsOf, type Named, type Wants } from "./tape.ts";

export * from "./ops/accumulate.ts";
export * from "./ops/activation.ts";
export * from "./ops/attention.ts";
export * from "./ops/conv.ts";
export * from "./ops/diffusion.ts";
export * from "./ops/embed.ts";
export * from "./ops/fill.ts";
export * from "./ops/grounding.ts";
export * from "./ops/image.ts";
export * from "./ops/loss.ts";
export * from "./ops/matmul.ts";
export * from "./ops/norm.ts";
export * from "./ops/norm_backward.ts";
export * from "./ops/optim.ts";
export * from "./ops/pointwise.ts";
export * from "./ops/softmax.ts";

export { AutoencoderKL, readVaeConfig, type VaeConfig } from "./models/vae.ts";
export { BertModel, readBertConfig, type BertConfig } from "./models/bert.ts";
export { ClipTextModel, readClipTextConfig, type ClipTextConfig } from "./models/clip.ts";
export { UNet2DConditionModel } from "./models/unet.ts";
export { readUNetConfig, type UNetConfig } from "./models/unet_config.ts";
export { type AttentionSink, type KeyValues, type TextContext } from "./models/transformer.ts";
export { loadModel, type LoadOptions } from "./models/load.ts";
export { loadLatentDiffusion, loadLatentEncoders, type LatentDiffusion, type LatentEncoders, type LdmOptions } from "./models/ldm.ts";
export { Schedule } from "./diffusion/schedule.ts";

export * from "./grounding/bias_merging.ts";
export * from "./grounding/mask.ts";
export * from "./grounding/metrics.ts";
export * from "./grounding/regions.ts";
export { GroundingPipeline, type GroundOptions, type GroundProgress, type GroundRequest } from "./grounding/pipeline.ts";
export { defaultSettings, type GroundSettings, type Mode } from "./grounding/options.ts";
export { MemoryBiasStore, type BiasStore } from "./grounding/phrase_bias.ts";
export type { GroundResult } from "./grounding/result.ts";

export { chooseTokens, type TokenChoice } from "./text/token_choice.ts";
export { loadTokenizer, type Encoding, type Tokenizer } from "./text/tokenizer.ts";
export type { Film } from "./data/film.ts";
export { boxMask, planPreprocess, transformBoxes, type PreprocessPlan } from "./data/preprocess.ts";
export * from "./data/render.ts";
export { openCheckpoint } from "./weights/open_checkpoint.ts";
export type { ByteSource, FolderSource } from "./weights/byte_source.ts";
