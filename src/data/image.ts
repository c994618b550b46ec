import { InputError } from "../errors.ts";
import type { Film } from "./film.ts";
import { decodeJpegFile, isJpeg, type JpegDecoder } from "./jpeg.ts";
import { decodePng, isPng } from "./png.ts";

/** What differs between Node and browsers when an image is decoded. */
export interface ImageDoor {
  readonly decodeJpeg: JpegDecoder;
  /** Where the DICOM codecs' WebAssembly file is, if not beside their script. */
  readonly dicomCodecs?: string;
}

/**
 * Decodes a PNG, JPEG or DICOM file to 8 bits, recognised by its first bytes and not by its name.
 * PNG and DICOM give the same pixels in Node and in browsers; JPEG decoders may differ by a grey level.
 * @param name path or URL for messages
 * @throws InputError for a file that is empty, damaged, truncated, too large or of another kind
 */
export async function decodeFilmThrough(door: ImageDoor, file: Uint8Array, name: string): Promise<Film> {
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.length); // a Node Buffer's slice() would not copy
  if (bytes.length === 0) throw new InputError(name, "is empty (0 bytes); export the image again");
  if (isPng(bytes)) return decodePng(bytes, name);
  if (isJpeg(bytes)) return decodeJpegFile(bytes, name, door.decodeJpeg);
  if (isDicom(bytes)) {
    const { decodeDicom } = await import("./dicom.ts");
    return decodeDicom(bytes, name, door.dicomCodecs);
  }
  throw new InputError(name, "is not a PNG, JPEG or DICOM image; convert it to one of these");
}

/**
 * DICOM files start with a preamble of 128 bytes and "DICM". Files without it are common in old archives: they start
 * with an element of group 2 or 8, whose number is followed by a two-letter type or by a length below 64 KiB.
 */
function isDicom(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  if (String.fromCharCode(...bytes.subarray(128, 132)) === "DICM") return true;
  const group = bytes[0] + bytes[1];
  if (bytes[0] * bytes[1] !== 0 || (group !== 2 && group !== 8)) return false;
  const hasType = [bytes[4], bytes[5]].every((letter) => letter >= 0x41 && letter <= 0x5a);
  return hasType || (bytes[6] === 0 && bytes[7] === 0);
}
