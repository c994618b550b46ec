import { InputError } from "../errors.ts";

/** A decoded image: 8-bit grey or RGB, rows from the top, channels interleaved. */
export interface Film {
  /** Path or URL of the file, as it appears in messages. */
  readonly name: string;
  /** Pixels of a row, 1 to `MAX_SIDE`. */
  readonly width: number;
  /** Rows, 1 to `MAX_SIDE`. */
  readonly height: number;
  /** 1 is grey, 3 is RGB. */
  readonly channels: 1 | 3;
  /** height * width * channels values. */
  readonly data: Uint8Array;
  /** What a reader of the result should know about the file; never a value from its headers. */
  readonly notes: readonly string[];
}

/** Longest side that is decoded. At 16,384 x 16,384 (268 megapixels) a 16-bit film already takes half a gigabyte. */
export const MAX_SIDE = 16_384;

/**
 * Refuses sizes before anything is decoded.
 * The message holds no numbers of the file, since for DICOM they are header values.
 * @throws InputError
 */
export function checkFilmSize(name: string, width: number, height: number): void {
  if (!(width > 0 && height > 0)) throw new InputError(name, "has no pixels: its width or height is zero; export the image again");
  if (width > MAX_SIDE || height > MAX_SIDE) {
    throw new InputError(name, `is larger than ${MAX_SIDE.toLocaleString("en")} pixels on a side; scale it down first`);
  }
}

/** Scales samples of `depth` bits to 8 bits over the depth's whole range, rounded to nearest. */
export function toEightBits(samples: ArrayLike<number>, depth: number): Uint8Array {
  const scale = 255 / (2 ** depth - 1);
  const grey = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) grey[i] = Math.round(samples[i] * scale);
  return grey;
}
