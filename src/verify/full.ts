import { InputError } from "../errors.ts";
import { BertModel, readBertConfig } from "../models/bert.ts";
import { ClipTextModel, readClipTextConfig } from "../models/clip.ts";
import { loadModel } from "../models/load.ts";
import { type Model, freeModel } from "../models/parameters.ts";
import { UNet2DConditionModel } from "../models/unet.ts";
import { readUNetConfig } from "../models/unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "../models/vae.ts";
import type { Tensor } from "../tensor.ts";
import { readJson } from "../weights/byte_source.ts";
import { outputBound } from "./bounds.ts";
import { type Golden, type VerifyContext, onDevice, uploadIntegers } from "./context.ts";
import { byFormula } from "./formula.ts";
import { formulaSource } from "./formula_source.ts";
import { clipL, cxrBert, sd15UNet, sd15Vae } from "./full_configs.ts";
import { type GoldenFile, type HostTensor, readGoldenFile } from "./golden_file.ts";
import { type Part, relativePart } from "./parts.ts";
import { probabilityParts, runUNet } from "./unet.ts";
import { vaeParts } from "./vae.ts";

// The real architectures at full size, with weights by formula. The manifests hold every weight's name and shape.

/** Stable Diffusion 1.5's U-Net at several latent sides: output and probabilities. */
const unetGolden = fullGolden("sd15_unet", () => new UNet2DConditionModel(readUNetConfig("SD 1.5 U-Net", sd15UNet)), [""], unetParts);

/** Stable Diffusion 1.5's VAE. */
const vaeGolden = fullGolden("sd15_vae", () => new AutoencoderKL(readVaeConfig("SD 1.5 VAE", sd15Vae)), [""], vaeParts);

/** CLIP ViT-L/14's text model. */
const clipGolden = fullGolden("clip_l", () => new ClipTextModel(readClipTextConfig("CLIP ViT-L/14", clipL)), ["text_model."], (context, golden, clip) =>
  hiddenStateParts(context, golden, (ids) => clip.forward(ids, { dtype: "f32" })),
);

/** CXR-BERT at its real size. */
const bertGolden = fullGolden("cxr_bert", () => new BertModel(readBertConfig("CXR-BERT", cxrBert)), ["bert."], (context, golden, bert) =>
  hiddenStateParts(context, golden, (ids) => bert.forward(ids, { mask: uploadIntegers(context.gpu, golden.tensor("in.attention_mask")), dtype: "f32" })),
);

export const fullGoldens: readonly Golden[] = [unetGolden, vaeGolden, clipGolden, bertGolden];

/** A golden at full size: builds the model, fills it by formula and compares. */
export function fullGolden<M extends Model>(name: string, build: () => M, prefixes: readonly string[], verify: (context: VerifyContext, golden: GoldenFile, model: M) => Promise<Part[]>): Golden {
  return {
    name,
    paths: [`${name}.safetensors`],
    async run(context, path) {
      const { gpu, folder, signal } = context;
      const manifest = `${name}.manifest.json`;
      const golden = await readGoldenFile(folder, path);
      const weights = formulaSource(`${folder.name}/${manifest}`, await readJson(folder, manifest));
      const model = build();
      try {
        await loadModel(gpu, model, weights, { prefixes, signal });
        return await verify(context, golden, model);
      } finally {
        freeModel(model);
        gpu.trim(); // gigabytes that the next golden has other uses for
      }
    },
  };
}

/** An input that a note describes, such as `context = 20*h('in.context',[1,77,768])`; `r` stands in for {r} and r. */
function noteInput(golden: GoldenFile, name: string, r = 0): HostTensor {
  const note = golden.fact<string>("note").replaceAll("{r}", String(r)).replaceAll(/\br\b/g, String(r));
  const match = new RegExp(`\\b${name} = ([\\d.]+)\\*h\\('([^']+)', ?\\[([\\d, ]+)\\]\\)`).exec(note);
  if (!match) throw new InputError(golden.name, `its note does not say what ${name} is: ${note}`);
  const [, factor, tensor, sides] = match;
  const shape = sides.split(",").map(Number);
  return { shape, data: byFormula(tensor, shape).map((value) => Number(factor) * value) };
}

async function unetParts({ gpu }: VerifyContext, golden: GoldenFile, unet: UNet2DConditionModel): Promise<Part[]> {
  const sides = [...golden.tensors.keys()].flatMap((name) => /^unet(\d+)\.out$/.exec(name)?.[1] ?? []).map(Number);
  const timestep = /timestep (\d+)/.exec(golden.fact<string>("note"))?.[1];
  if (sides.length === 0 || timestep === undefined) throw new InputError(golden.name, "names no latent side or no timestep; it is not a golden of this layout");
  const parts: Part[] = [];
  for (const side of sides) {
    const inputs = { sample: noteInput(golden, `sample${side}`, side), timesteps: { shape: [1], data: Float32Array.of(Number(timestep)) }, text: noteInput(golden, "context") };
    const { output, probabilities } = await runUNet(gpu, unet, inputs);
    parts.push(relativePart(`unet${side}.out`, output.data, golden.tensor(`unet${side}.out`).data, outputBound));
    parts.push(...probabilityParts(golden, `unet${side}.`, probabilities));
  }
  return parts;
}

/** Compares some positions of a last hidden state: the note says whether they are the first ones or every n-th. */
async function hiddenStateParts({ gpu }: VerifyContext, golden: GoldenFile, forward: (ids: Tensor) => Tensor): Promise<Part[]> {
  const { output } = await onDevice(gpu, () => ({ output: forward(uploadIntegers(gpu, golden.tensor("in.input_ids"))) }));
  const { data, shape: [, positions, width] } = golden.tensor("out.last_hidden_state");
  const [, length] = output.shape;
  const step = /\bevery\b/.test(golden.fact<string>("note")) ? Math.ceil(length / positions) : 1;
  const place = (i: number) => (Math.floor(i / (positions * width)) * length + (Math.floor(i / width) % positions) * step) * width + (i % width);
  return [relativePart("last_hidden_state", Float32Array.from(data, (_, i) => output.data[place(i)]), data, outputBound)];
}
