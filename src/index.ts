// What both doors export: the engine, and what is done with its results. What one loads or trains models with has doors
// of its own (models.ts, training.ts), so that a page fetches it only where it is used.
export * from "./errors.ts";
export { Gpu, type AdapterFacts } from "./gpu/gpu.ts";
export type { BindingSource, Dispatch, Kernel, KernelBinding, KernelParam, SourcePart } from "./gpu/kernel.ts";
export type { OpenOptions } from "./gpu/open.ts";
export type { Plan, Step } from "./gpu/step.ts";
export type { MemoryReport } from "./gpu/buffers.ts";
export type { Profile, ProfileRow, ProfileSubmission } from "./gpu/profile.ts";
export type { ChoosingOp, VariantChoice, VariantChoices } from "./gpu/variant_choices.ts";
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
export * from "./ops/matmul.ts";
export * from "./ops/norm.ts";
export * from "./ops/norm_backward.ts";
export * from "./ops/pointwise.ts";
export * from "./ops/softmax.ts";

export * from "./grounding/bias_merging.ts";
export * from "./grounding/mask.ts";
export * from "./grounding/metrics.ts";
export * from "./grounding/regions.ts";
export type { GroundingPipeline, GroundOptions, GroundProgress, GroundRequest, StreamedMap } from "./grounding/pipeline.ts";
export type { GenerateOptions, GenerateRequest, GeneratedImage, GenerationAttention } from "./grounding/generate.ts";
export type { GroundSettings, Mode } from "./grounding/options.ts";
export type { Point } from "./grounding/maps.ts";
export type { GroundResult } from "./grounding/result.ts";

export type { Picture } from "./data/draw.ts";
export type { Film } from "./data/film.ts";
export { boxMask, planPreprocess, transformBoxes, type Box, type PreprocessPlan } from "./data/preprocess.ts";
export * from "./data/render.ts";
export type { ByteSource, FolderSource } from "./weights/byte_source.ts";
