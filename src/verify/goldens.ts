import { checkpointsGolden } from "./checkpoints.ts";
import type { Golden } from "./context.ts";
import { ddimGolden } from "./ddim.ts";
import { fullGoldens } from "./full.ts";
import { fullImageGoldens } from "./full_images.ts";
import { loraGolden, unetBackwardGolden } from "./gradients.ts";
import { groundGolden } from "./ground.ts";
import { groundHalfGolden } from "./ground_f16.ts";
import { imageGolden } from "./image.ts";
import { mapsGolden } from "./maps.ts";
import { phantomGolden } from "./phantom.ts";
import { qualityGolden } from "./quality.ts";
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
  qualityGolden,
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
  ...fullImageGoldens,
];

/** Those that are run on devices with f16 besides. */
export const halfPrecisionGoldens: readonly Golden[] = [unetForwardHalfGolden, groundHalfGolden];
