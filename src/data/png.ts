import { decode, type DecodedPng } from "fast-png";
import { InputError } from "../errors.ts";
import { checkFilmSize, toEightBits, type Film } from "./film.ts";

type Samples = DecodedPng["data"];

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Does the file start with the PNG signature? */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((value, i) => bytes[i] === value);
}

/**
 * Decodes a PNG file as Pillow's `convert("RGB")` does: palettes are looked up, alpha and colour profiles are ignored.
 * Grey stays one channel.
 * @throws InputError
 */
export function decodePng(bytes: Uint8Array, name: string): Film {
  if (bytes.length < 33) throw damaged(name);
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkFilmSize(name, header.getUint32(16), header.getUint32(20));
  if (header.getUint8(24) < 8 && header.getUint8(28) === 1) {
    throw new InputError(name, "is an interlaced PNG file of fewer than 8 bits a sample; save it without interlacing");
  }
  const isIndexed = header.getUint8(25) === 3;
  try {
    return toFilm(decode(bytes, { checkCrc: true }), isIndexed, name);
  } catch {
    throw damaged(name);
  }
}

function damaged(name: string): InputError {
  return new InputError(name, "is a damaged or truncated PNG file; export it again");
}

/** @param isIndexed tells palette images from RGB images that merely suggest a palette */
function toFilm(png: DecodedPng, isIndexed: boolean, name: string): Film {
  const { width, height } = png;
  const samples = png.depth < 8 ? unpackBits(png) : png.data;
  if (isIndexed) return { name, width, height, channels: 3, data: lookUp(samples, png.palette ?? []), notes: [] };
  const channels = png.channels < 3 ? 1 : 3;
  const colours = firstChannels(samples, png.channels, channels);
  const data = toEightBits(colours, png.depth === 16 ? depthInUse(colours) : png.depth);
  return { name, width, height, channels, data, notes: [] };
}

/** RGB of palette entries; an index outside the palette throws. */
function lookUp(indices: Samples, palette: number[][]): Uint8Array {
  const data = new Uint8Array(indices.length * 3);
  for (let i = 0; i < indices.length; i++) {
    const entry = palette[indices[i]];
    for (let c = 0; c < 3; c++) data[3 * i + c] = entry[c];
  }
  return data;
}

/**
 * Bits of the range that 16-bit samples were made for. The PNG standard lets samples fill the whole range of their
 * depth, but detectors' values of 10 to 14 bits are often stored in 16 without scaling, and would come out all but
 * black. Both are right when scaled by the range of the smallest depth, 8 at least, that holds the largest sample.
 */
function depthInUse(samples: Samples): number {
  let largest = 0;
  for (let i = 0; i < samples.length; i++) largest = Math.max(largest, samples[i]);
  return Math.max(8, 32 - Math.clz32(largest));
}

/** Samples of 1, 2 or 4 bits, packed from the left and each row padded to a byte, one to an element. */
function unpackBits({ width, height, depth, data }: DecodedPng): Uint8Array {
  const samples = new Uint8Array(width * height);
  const rowBytes = Math.ceil((width * depth) / 8);
  const perByte = 8 / depth;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const shift = 8 - depth * ((x % perByte) + 1);
      samples[y * width + x] = (data[y * rowBytes + Math.floor(x / perByte)] >> shift) & (2 ** depth - 1);
    }
  }
  return samples;
}

/** The first `kept` of `channels` interleaved channels: everything but alpha. */
function firstChannels(samples: Samples, channels: number, kept: number): Samples {
  if (channels === kept) return samples;
  const pixels = samples.length / channels;
  const colours = samples instanceof Uint16Array ? new Uint16Array(pixels * kept) : new Uint8Array(pixels * kept);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < kept; c++) colours[i * kept + c] = samples[i * channels + c];
  }
  return colours;
}
