import { backward } from "../autograd.ts";
import { loadModel } from "../models/load.ts";
import { LORA_FILE, attachLoraOf, loraPrefixes, peftName } from "../models/lora.ts";
import { type Model, freeModel } from "../models/parameters.ts";
import type { UNet2DConditionModel } from "../models/unet.ts";
import { mseLoss } from "../ops/loss.ts";
import { toChannelsLast } from "../ops/pointwise.ts";
import { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { pytorchOrder } from "../training/checkpoint.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";
import { gradientBound, lossBound, outputBound } from "./bounds.ts";
import { type Golden, type VerifyContext, companion, upload } from "./context.ts";
import { type GoldenFile, readGoldenFile } from "./golden_file.ts";
import { type Part, exactPart, relativePart } from "./parts.ts";
import { inputsOf, runUNet, withMicroUNet } from "./unet.ts";

/** What a backward pass gives: the loss, and gradients by name, those of parameters in PyTorch's order of elements. */
export interface HostGradients {
  readonly loss: Float32Array;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/**
 * Mean squared error of a U-Net's prediction from `in.target`, and its gradients: those of `trained`, and of the inputs
 * that the golden has gradients of.
 */
export async function unetGradients(unet: UNet2DConditionModel, golden: GoldenFile, trained: Model["parameters"], gradientCheckpointing = false): Promise<HostGradients> {
  const [{ tensor: { gpu } }] = trained.values();
  const inputs = new Map(["sample", "timestep", "encoder_hidden_states", "target"].map((name) => [name, gpu.keep(upload(gpu, golden.tensor(`in.${name}`)))]));
  const input = (name: string) => inputs.get(name) as Tensor;
  const tensors = new Map([...trained].map(([name, { tensor }]) => [name, tensor]));
  for (const [name, tensor] of inputs) if (golden.tensors.has(`grad.in.${name}`)) tensors.set(`in.${name}`, tensor);

  const tape = new Tape(gpu);
  tape.watch(tensors.values());
  const [loss, gradients] = gpu.scope("verify", () => {
    const loss = tape.run(() => {
      const keyValues = unet.projectText(input("encoder_hidden_states"));
      const prediction = unet.forward(toChannelsLast(input("sample")), input("timestep"), { keyValues }, { gradientCheckpointing }) as Tensor;
      return mseLoss(prediction, toChannelsLast(input("target")));
    });
    return [loss, backward(tape, loss, gpu.tensor(Float32Array.of(1), [1]))];
  });
  try {
    const values = new Map<string, Float32Array>();
    for (const [name, tensor] of tensors) {
      const gradient = await gradients.get(tensor)?.read();
      const parameter = trained.get(name);
      if (gradient) values.set(name, parameter ? pytorchOrder(parameter, gradient) : gradient);
    }
    return { loss: await loss.read(), gradients: values };
  } finally {
    gradients.free();
    for (const tensor of [loss, ...inputs.values()]) tensor.free();
  }
}

/** Compares loss and gradients; `nameOf`: what the golden calls a parameter. */
function gradientParts(golden: GoldenFile, { loss, gradients }: HostGradients, nameOf = (name: string) => name): Part[] {
  const expected = [...golden.tensors.keys()].filter((name) => name.startsWith("grad."));
  const actual = new Map([...gradients].map(([name, values]) => [`grad.${nameOf(name)}`, values]));
  return [
    relativePart("loss", loss, golden.tensor("out.loss").data, lossBound),
    exactPart("tensors with a gradient", [...actual.keys()].sort(), expected.sort()),
    ...expected.map((name) => relativePart(name, actual.get(name) ?? [], golden.tensor(name).data, gradientBound)),
  ];
}

/** micro_unet: loss, and the gradients of every parameter, of the sample and of the context. */
export const unetBackwardGolden: Golden = {
  name: "unet_backward",
  paths: ["unet_backward.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    return withMicroUNet(context, async (unet) => gradientParts(golden, await unetGradients(unet, golden, unet.parameters)));
  },
};

/** micro_unet with micro_lora: output, loss, and the gradients of the factors. */
export const loraGolden: Golden = {
  name: "lora",
  paths: ["lora.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    return withMicroUNet(context, (unet) => withMicroLora(context, unet, async (lora) => {
      const { output } = await runUNet(context.gpu, unet, inputsOf(golden));
      return [
        relativePart("output", output.data, golden.tensor("out.sample").data, outputBound),
        ...gradientParts(golden, await unetGradients(unet, golden, lora.parameters), peftName),
      ];
    }));
  },
};

/** Puts micro_lora's factors on a U-Net, and takes them off again when `use` is done. */
async function withMicroLora<R>(context: VerifyContext, unet: UNet2DConditionModel, use: (lora: Model) => Promise<R>): Promise<R> {
  const file = await openCheckpoint(companion(context, "micro_lora"), LORA_FILE);
  try {
    const lora = await attachLoraOf(unet, file);
    try {
      await loadModel(context.gpu, lora, file, { prefixes: loraPrefixes, dtype: "f32", signal: context.signal });
      return await use(lora);
    } finally {
      lora.detach();
      freeModel(lora);
    }
  } finally {
    await file.close();
  }
}
