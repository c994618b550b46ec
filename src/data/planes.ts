import type { Film } from "./film.ts";
import type { PreprocessPlan } from "./preprocess.ts";
import { type ResizeOptions, resizeBilinear } from "./resize.ts";

/** One channel of an image, in [0, 1]. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  /** height * width values. */
  readonly data: Float64Array;
}

/** The channels of a film: one of a grey film, three of others. */
export function filmPlanes({ width, height, channels, data }: Film): Plane[] {
  return Array.from({ length: channels }, (_, channel) => {
    const plane = new Float64Array(width * height);
    for (let i = 0; i < plane.length; i++) plane[i] = data[i * channels + channel] / 255;
    return { width, height, data: plane };
  });
}

/** A plane resized and cropped by a plan of its size. -> [size * size] */
export function croppedPlane({ width, height, data }: Plane, plan: PreprocessPlan, options: Pick<ResizeOptions, "antialias"> = {}): Float32Array {
  const { resizedWidth, resizedHeight, cropLeft, cropTop, size } = plan;
  const window = { left: cropLeft, top: cropTop, width: size, height: size };
  return resizeBilinear(data, { width, height }, { width: resizedWidth, height: resizedHeight }, { ...options, window });
}
