import { type Plane, croppedPlane } from "../data/planes.ts";
import { planResizeCrop } from "../data/preprocess.ts";
import { resizeBilinear } from "../data/resize.ts";
import type { Reading } from "../grounding/bias_merging.ts";
import { DenseNet, XRV_SIDE } from "../models/densenet.ts";
import { INCEPTION_SIDE, InceptionV3 } from "../models/inception.ts";
import type { Model } from "../models/parameters.ts";
import type { Tensor } from "../tensor.ts";

/** A network whose features images are compared by. */
export interface FeatureModel extends Model {
  /** Length of a feature vector. */
  readonly features: number;
  /** images [B, H, W, C] to [B, features] */
  forward(images: Tensor): Tensor;
}

/** What is known of a feature network besides its weights. */
export interface FeatureNetwork {
  /** What the Fréchet distance of its features is called. */
  readonly measure: string;
  /** Height, width and channels of its input. */
  readonly inputShape: readonly [number, number, number];
  /** The network without weights: `loadModel` fills it. */
  build(): FeatureModel;
  /** An image, one plane or three, as the network reads it: of `inputShape`. */
  prepare(planes: readonly Plane[], reading: Reading): Float32Array;
}

/** The networks of the paper's measures. */
export type FeatureKind = "inception" | "xrv";

/** What is known of each network. */
export const featureNetworks: Readonly<Record<FeatureKind, FeatureNetwork>> = {
  inception: { measure: "FID", inputShape: [INCEPTION_SIDE, INCEPTION_SIDE, 3], build: () => new InceptionV3(), prepare: inceptionInput },
  xrv: { measure: "FID_XRV", inputShape: [XRV_SIDE, XRV_SIDE, 1], build: () => new DenseNet(), prepare: xrvInput },
};

/**
 * pytorch-fid stretches to 299x299 without averaging and gives the network [-1, 1]. The authors' code resizes with
 * averaging, crops, and brings values to [-1, 1] twice over, so that the network sees [-3, 1].
 */
function inceptionInput(planes: readonly Plane[], reading: Reading): Float32Array {
  if (reading === "compat") return interleaved(croppedPlanes(planes, INCEPTION_SIDE), (value) => 2 * (2 * value - 1) - 1);
  const to = { width: INCEPTION_SIDE, height: INCEPTION_SIDE };
  return interleaved(planes.map(({ width, height, data }) => resizeBilinear(data, { width, height }, to, { antialias: false })), (value) => 2 * value - 1);
}

/** Resized and cropped, the mean of the channels, in [-1024, 1024]: as the authors' code does, in both readings. */
function xrvInput(planes: readonly Plane[]): Float32Array {
  const cropped = croppedPlanes(planes, XRV_SIDE);
  return cropped[0].map((_, i) => 1024 * (2 * (cropped.reduce((sum, plane) => sum + plane[i], 0) / cropped.length) - 1));
}

/** The shorter side resized to `side`, and a square cut out of the middle. */
function croppedPlanes(planes: readonly Plane[], side: number): Float32Array[] {
  const [{ width, height }] = planes;
  const plan = planResizeCrop(width, height, side, side);
  return planes.map((plane) => croppedPlane(plane, plan));
}

/** Three channels of one plane or three, pixel by pixel. */
function interleaved(planes: readonly Float32Array[], map: (value: number) => number): Float32Array {
  return Float32Array.from({ length: 3 * planes[0].length }, (_, i) => map(planes[(i % 3) % planes.length][Math.floor(i / 3)]));
}
