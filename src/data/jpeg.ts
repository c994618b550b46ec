import { concatenate } from "../bytes.ts";
import { InputError } from "../errors.ts";
import { checkFilmSize, type Film } from "./film.ts";

/** Decodes a JPEG file of 1 (grey), 3 or 4 (CMYK) components to 8-bit grey or RGB, as it is stored: not turned, no profile applied. */
export type JpegDecoder = (bytes: Uint8Array, components: number) => Promise<Pick<Film, "width" | "height" | "channels" | "data">>;

/** What the frame header of a JPEG, lossless JPEG or JPEG-LS stream says. */
export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  readonly precision: number;
  readonly components: number;
}

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP0 = 0xe0;
const APP14 = 0xee;
const APP15 = 0xef;

/** Does the file start like a JPEG file? */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === SOI && bytes[2] === 0xff;
}

/**
 * Decodes a JPEG file as Pillow does: an orientation tag does not turn it and a colour profile does not change it.
 * @throws InputError
 */
export async function decodeJpegFile(bytes: Uint8Array, name: string, decode: JpegDecoder): Promise<Film> {
  const segments = readSegments(bytes);
  const frame = segments && findFrame(bytes, segments);
  if (!segments || !frame) throw new InputError(name, "is a damaged or truncated JPEG file; export it again");
  checkFilmSize(name, frame.width, frame.height);
  if (frame.precision !== 8) throw new InputError(name, "is a JPEG file of more than 8 bits; export it as 16-bit PNG or DICOM");
  try {
    return { name, ...(await decode(withoutMetadata(bytes, segments), frame.components)), notes: [] };
  } catch {
    throw new InputError(name, "is a JPEG file that cannot be decoded; export it again as baseline JPEG or PNG");
  }
}

/** The frame header of a stream that is whole, from its first marker to its end marker; undefined otherwise. */
export function readJpegFrame(bytes: Uint8Array): JpegFrame | undefined {
  const segments = readSegments(bytes);
  return segments && findFrame(bytes, segments);
}

/** A marker and its parameters, with the coded data that follows a scan header: bytes start to end of the file. */
interface Segment {
  readonly marker: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Walks the markers of a stream. Decoders accept streams that end early and fill the rest with grey, so this is what
 * tells a truncated file: the end marker must be reached.
 * @returns the segments up to the end marker, or undefined where the stream is broken or ends before it
 */
function readSegments(bytes: Uint8Array): Segment[] | undefined {
  const segments: Segment[] = [];
  let at = 2;
  while (at + 1 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // fill byte
      continue;
    }
    if (marker === EOI) return [...segments, { marker, start: at, end: at + 2 }];
    const parametersEnd = at + 2 + bytes[at + 2] * 256 + bytes[at + 3];
    if (!(parametersEnd >= at + 4 && parametersEnd <= bytes.length)) return undefined;
    const end = marker === SOS ? nextMarker(bytes, parametersEnd) : parametersEnd;
    segments.push({ marker, start: at, end });
    at = end;
  }
  return undefined;
}

/** Where coded data ends: after 0xff comes a stuffed 0 (below 0x80 in JPEG-LS) or a restart marker while it goes on. */
function nextMarker(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1];
    const isRestart = next >= 0xd0 && next <= 0xd7;
    if (next >= 0x80 && next !== 0xff && !isRestart) return at;
  }
  return bytes.length;
}

/** Start-of-frame markers: C0 to CF but DHT (C4), JPG (C8) and DAC (CC), and JPEG-LS's F7. */
function isFrameMarker(marker: number): boolean {
  return marker === 0xf7 || (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker));
}

function findFrame(bytes: Uint8Array, segments: Segment[]): JpegFrame | undefined {
  const segment = segments.find(({ marker }) => isFrameMarker(marker));
  if (!segment || segment.end - segment.start < 10) return undefined;
  const header = new DataView(bytes.buffer, bytes.byteOffset + segment.start, segment.end - segment.start);
  return { precision: header.getUint8(4), height: header.getUint16(5), width: header.getUint16(7), components: header.getUint8(9) };
}

/**
 * The stream without application segments but JFIF and Adobe, which say how colours are coded. Orientation and colour
 * profiles go, and with them every difference in how decoders obey them.
 */
function withoutMetadata(bytes: Uint8Array, segments: Segment[]): Uint8Array {
  const kept = segments.filter(({ marker }) => marker < APP0 || marker > APP15 || marker === APP0 || marker === APP14);
  return concatenate([bytes.subarray(0, 2), ...kept.map(({ start, end }) => bytes.subarray(start, end))]);
}
