import type { Plane } from "../data/planes.ts";
import { InputError } from "../errors.ts";
import { BioViLImageModel } from "../models/biovil.ts";
import { concatLast, sliceLast, toChannelsFirst, toChannelsLast } from "../ops/pointwise.ts";
import { type FeatureNetwork, featureNetworks } from "../quality/feature_networks.ts";
import type { Tensor } from "../tensor.ts";
import { outputBound } from "./bounds.ts";
import { type Golden, onDevice, upload } from "./context.ts";
import { byFormula } from "./formula.ts";
import { fullGolden } from "./full.ts";
import type { GoldenFile, HostTensor } from "./golden_file.ts";
import { relativePart } from "./parts.ts";
import { planesOf } from "./quality.ts";

// The networks that images are compared and embedded with, at full size, with weights by formula.

/** BioViL's image model: the first channels of its feature maps, and the embeddings of all patches. */
const bioViLGolden = fullGolden("biovil_image", () => new BioViLImageModel(), [""], async ({ gpu }, golden, model) => {
  const expected = { features: golden.tensor("out.layer4.channels_0_16"), embeddings: golden.tensor("out.patch_embeddings") };
  const actual = await onDevice(gpu, () => {
    const { features, embeddings } = model.forward(toChannelsLast(repeatChannels(upload(gpu, clampedInput(golden)))));
    return { features: toChannelsFirst(sliceLast(features, 0, expected.features.shape[1])), embeddings: toChannelsFirst(embeddings) };
  });
  return [
    relativePart("layer4, first channels", actual.features.data, expected.features.data, outputBound),
    relativePart("patch embeddings", actual.embeddings.data, expected.embeddings.data, outputBound),
  ];
});

/** InceptionV3's pool3 of an image that is resized as pytorch-fid does. */
const inceptionGolden = featureGolden("fid_inception", featureNetworks.inception, "out.pool3", (golden) => planesOf(golden.tensor("in.image")));

/** torchxrayvision's features of a film of its own size. */
const xrvGolden = featureGolden("xrv_densenet121", featureNetworks.xrv, "out.features", (golden) => {
  const { shape, data } = clampedInput(golden);
  return planesOf({ shape, data: data.map((value) => (value / 1024 + 1) / 2) });
});

export const fullImageGoldens: readonly Golden[] = [bioViLGolden, inceptionGolden, xrvGolden];

/** Features of one image, from its channels in [0, 1] on. */
function featureGolden(name: string, { build, prepare, inputShape }: FeatureNetwork, output: string, planes: (golden: GoldenFile) => Plane[]): Golden {
  return fullGolden(name, build, [""], async ({ gpu }, golden, model) => {
    const image = prepare(planes(golden), "paper");
    const { features } = await onDevice(gpu, () => ({ features: model.forward(gpu.tensor(image, [1, ...inputShape])) }));
    return [relativePart("features", features.data, golden.tensor(output).data, outputBound)];
  });
}

/** An input that a note describes, such as `in: clamp(300*h('in.biovil',[1,1,480,480])+0.5, 0, 1)`. */
function clampedInput(golden: GoldenFile): HostTensor {
  const note = golden.fact<string>("note");
  const match = /\bin: clamp\(([\d.]+)\*h\('([^']+)', ?\[([\d, ]+)\]\)(?:\+([\d.]+))?, (-?[\d.]+), (-?[\d.]+)\)/.exec(note);
  if (!match) throw new InputError(golden.name, `its note does not say what goes in: ${note}`);
  const [, factor, tensor, sides, offset, low, high] = match;
  const shape = sides.split(",").map(Number);
  const clamp = (value: number) => Math.min(Math.max(value, Number(low)), Number(high));
  return { shape, data: byFormula(tensor, shape).map((value) => clamp(Number(factor) * value + Number(offset ?? 0))) };
}

/** [B, 1, H, W] -> [B, 3, H, W] */
function repeatChannels(x: Tensor): Tensor {
  const [batch, , height, width] = x.shape;
  const flat = x.reshape(batch, height * width);
  return concatLast(concatLast(flat, flat), flat).reshape(batch, 3, height, width);
}
