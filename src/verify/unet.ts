import type { Gpu } from "../gpu/gpu.ts";
import type { AttentionSink } from "../models/transformer.ts";
import { UNet2DConditionModel } from "../models/unet.ts";
import { readUNetConfig } from "../models/unet_config.ts";
import type { Float } from "../ops/check.ts";
import { cast, scale, toChannelsFirst } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { halfPrecisionBound, outputBound, probabilityBound } from "./bounds.ts";
import { type Golden, type VerifyContext, onDevice, upload, uploadImages, withModel } from "./context.ts";
import { type GoldenFile, type HostTensor, readGoldenFile } from "./golden_file.ts";
import { type Part, absolutePart, decorrelationPart, relativePart } from "./parts.ts";

/** A forward pass: sample [B, C, h, w], timesteps [B], text [B, N, width]. */
export interface UNetInputs {
  sample: HostTensor;
  timesteps: HostTensor;
  text: HostTensor;
}

/** The output [B, C, h, w], and the head means of all probabilities by layer, [B, N, h * w] each. */
export interface UNetOutputs {
  output: HostTensor;
  probabilities: ReadonlyMap<string, HostTensor>;
}

/** Keeps every probability, averaged over heads. */
function captureAll(gpu: Gpu): AttentionSink & { layers: Map<string, Tensor> } {
  const layers = new Map<string, Tensor>();
  return {
    layers,
    capture: { all: true },
    done: false,
    wants: () => true,
    take: (layer, captured) => void layers.set(layer, gpu.keep(scale(captured, 1))),
  };
}

/** Runs a U-Net and reads its output and all probabilities. */
export async function runUNet(gpu: Gpu, unet: UNet2DConditionModel, inputs: UNetInputs, dtype: Float = "f32"): Promise<UNetOutputs> {
  const sink = captureAll(gpu);
  const { "": output, ...layers } = await onDevice<string>(gpu, () => {
    const text = cast(upload(gpu, inputs.text), dtype);
    const context = { keyValues: unet.projectText(text), sink };
    const predicted = unet.forward(cast(uploadImages(gpu, inputs.sample), dtype), upload(gpu, inputs.timesteps), context) as Tensor;
    return { "": toChannelsFirst(cast(predicted, "f32")), ...Object.fromEntries(sink.layers) };
  });
  return { output, probabilities: new Map(Object.entries(layers)) };
}

/** Probabilities of a golden's first tokens: [B, N, pixels] to what stands beside [B, tokens, side, side]. */
export function firstTokens({ data, shape: [batch, tokens, pixels] }: HostTensor, count: number): Float32Array {
  const rows = new Float32Array(batch * count * pixels);
  for (let b = 0; b < batch; b++) rows.set(data.subarray(b * tokens * pixels, (b * tokens + count) * pixels), b * count * pixels);
  return rows;
}

type Compare = (name: string, actual: Float32Array, expected: Float32Array) => Part;

/** Compares every `${prefix}P.*` of a golden, layer by layer. */
export function probabilityParts(golden: GoldenFile, prefix: string, probabilities: UNetOutputs["probabilities"], compare: Compare = (...values) => absolutePart(...values, probabilityBound)): Part[] {
  const names = [...golden.tensors.keys()].filter((name) => name.startsWith(`${prefix}P.`));
  return names.map((name) => {
    const { data, shape } = golden.tensor(name);
    const captured = probabilities.get(name.slice(prefix.length + 2));
    return compare(name, captured ? firstTokens(captured, shape[1]) : new Float32Array(), data);
  });
}

/** A U-Net of a configuration, without weights. */
export function buildUNet(...config: Parameters<typeof readUNetConfig>): UNet2DConditionModel {
  return new UNet2DConditionModel(readUNetConfig(...config));
}

/** The inputs of a golden's forward pass. */
export function inputsOf(golden: GoldenFile): UNetInputs {
  return { sample: golden.tensor("in.sample"), timesteps: golden.tensor("in.timestep"), text: golden.tensor("in.encoder_hidden_states") };
}

/** Folder of micro_unet, of SD 2's kind, beside the goldens. */
export const microFolder = "micro_unet";

/** Loads micro_unet in f32, and frees it when `use` is done. */
export function withMicroUNet<R>(context: VerifyContext, use: (unet: UNet2DConditionModel) => Promise<R>): Promise<R> {
  return withModel(context, microFolder, buildUNet, () => ({ dtype: "f32" }), use);
}

function unetGolden(name: string, file: string, folder: string): Golden {
  return {
    name,
    paths: [file],
    async run(context, path) {
      const golden = await readGoldenFile(context.folder, path);
      const { output, probabilities } = await withModel(context, folder, buildUNet, () => ({}), (unet) => runUNet(context.gpu, unet, inputsOf(golden)));
      return [relativePart("output", output.data, golden.tensor("out.sample").data, outputBound), ...probabilityParts(golden, "", probabilities)];
    },
  };
}

/** tiny_ldm's U-Net, of SD 1.x's kind: output and probabilities. */
export const unetForwardGolden = unetGolden("unet_forward", "unet_forward.safetensors", "tiny_ldm/unet");
/** micro_unet, of SD 2's kind: the forward pass of what gradients are given for. */
export const microUNetGolden = unetGolden("micro_unet", "unet_backward.safetensors", microFolder);

/** tiny_ldm's U-Net in f16: the largest errors are told, the probabilities of every layer must correlate. */
export const unetForwardHalfGolden: Golden = {
  name: "unet_forward.f16",
  paths: ["unet_forward.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    const { output, probabilities } = await withModel(context, "tiny_ldm/unet", buildUNet, () => ({ dtype: "f16" }), (unet) => runUNet(context.gpu, unet, inputsOf(golden), "f16"));
    const errors = probabilityParts(golden, "", probabilities).map(({ error }) => error);
    return [
      relativePart("output", output.data, golden.tensor("out.sample").data),
      { name: "P", error: Math.max(...errors) },
      ...probabilityParts(golden, "", probabilities, (name, actual, expected) => decorrelationPart(`1 - correlation of ${name}`, actual, expected, halfPrecisionBound)),
    ];
  },
};
