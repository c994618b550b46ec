import { InputError } from "../errors.ts";
import { checkpointsGolden } from "./checkpoints.ts";
import type { Golden } from "./context.ts";
import { ddimGolden } from "./ddim.ts";
import { fullGoldens } from "./full.ts";
import { loraGolden, unetBackwardGolden } from "./gradients.ts";
import { groundGolden } from "./ground.ts";
import { groundHalfGolden } from "./ground_f16.ts";
import { imageGolden } from "./image.ts";
import { mapsGolden } from "./maps.ts";
import { phantomGolden } from "./phantom.ts";
import { bertGolden, clipGolden } from "./text_encoders.ts";
import { tokenizerGoldens } from "./tokenizers.ts";
import { trainGolden } from "./train.ts";
import { microUNetGolden, unetForwardGolden, unetForwardHalfGolden } from "./unet.ts";
import { vaeGolden } from "./vae.ts";

/** Everything that a folder of goldens may hold, quick ones first. */
export const allGoldens: readonly Golden[] = [
  ...tokenizerGoldens,
  checkpointsGolden,
  imageGolden,
  ddimGolden,
  mapsGolden,
  bertGolden,
  clipGolden,
  vaeGolden,
  microUNetGolden,
  unetBackwardGolden,
  loraGolden,
  trainGolden,
  phantomGolden,
  unetForwardGolden,
  groundGolden,
  ...fullGoldens,
  notImplemented("quality", "image quality"),
  notImplemented("biovil_image", "BioViL's image encoder"),
  notImplemented("fid_inception", "InceptionV3"),
  notImplemented("xrv_densenet121", "torchxrayvision's DenseNet"),
];

/** Those that are run on devices with f16 besides. */
export const halfPrecisionGoldens: readonly Golden[] = [unetForwardHalfGolden, groundHalfGolden];

/** A golden that is listed, and said to be out of reach, until its subject is there. */
export function notImplemented(name: string, subject: string): Golden {
  return {
    name,
    paths: [`${name}.safetensors`],
    run: async (_, path) => {
      throw new InputError(path, `${subject}: not implemented in this version`);
    },
  };
}
