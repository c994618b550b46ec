import { InputError } from "../errors.ts";
import { damagedDicom, EXPLICIT_BIG, type DicomImage, type PixelLayout } from "./dicom_file.ts";
import { readJpegFrame } from "./jpeg.ts";

type Codecs = typeof import("dcmjs-codecs");
type Decoder = "decodeRle" | "decodeJpeg" | "decodeJpegLs" | "decodeJpeg2000" | "decodeHtJpeg2000";

const UNCOMPRESSED = new Set(["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", EXPLICIT_BIG, "1.2.840.10008.1.2.1.99"]);

/** Decoders of `dcmjs-codecs` by transfer syntax UID. */
const DECODERS: Record<string, Decoder> = {
  "1.2.840.10008.1.2.5": "decodeRle",
  "1.2.840.10008.1.2.4.50": "decodeJpeg", // baseline, 8 bit
  "1.2.840.10008.1.2.4.51": "decodeJpeg", // extended, 8 and 12 bit
  "1.2.840.10008.1.2.4.57": "decodeJpeg", // lossless, any predictor
  "1.2.840.10008.1.2.4.70": "decodeJpeg", // lossless, first predictor
  "1.2.840.10008.1.2.4.80": "decodeJpegLs",
  "1.2.840.10008.1.2.4.81": "decodeJpegLs", // near-lossless
  "1.2.840.10008.1.2.4.90": "decodeJpeg2000", // lossless
  "1.2.840.10008.1.2.4.91": "decodeJpeg2000",
  "1.2.840.10008.1.2.4.201": "decodeHtJpeg2000", // lossless
  "1.2.840.10008.1.2.4.202": "decodeHtJpeg2000", // lossless, ordered by resolution
  "1.2.840.10008.1.2.4.203": "decodeHtJpeg2000",
};

/** Samples as they are stored, and how they lie: what decoding changed about the image's layout is changed here too. */
export interface StoredSamples {
  readonly layout: PixelLayout;
  /** rows * columns * samplesPerPixel values; bits above those stored are not cleared. */
  readonly samples: Uint8Array | Uint16Array;
}

/**
 * Decodes the image's frame.
 * @param wasm where the codecs' WebAssembly file is, if not beside their script
 * @throws InputError for damaged pixels and for transfer syntaxes that no codec is there for
 */
export async function decodeFrame(image: DicomImage, name: string, wasm?: string): Promise<StoredSamples> {
  if (UNCOMPRESSED.has(image.transferSyntax)) return { layout: image.layout, samples: readUncompressed(image, name) };
  const decoder = DECODERS[image.transferSyntax];
  if (!decoder) {
    throw new InputError(name, "is a DICOM image in a compression that is not supported; decompress it first (dcmdjpeg, gdcmconv --raw)");
  }
  if (decoder === "decodeJpeg" || decoder === "decodeJpegLs") checkJpegFrame(image, name);
  return decompress(image, decoder, name, wasm);
}

function sampleCount({ rows, columns, samplesPerPixel }: PixelLayout): number {
  return rows * columns * samplesPerPixel;
}

function readUncompressed({ layout, pixelBytes, pixelType, transferSyntax }: DicomImage, name: string): Uint8Array | Uint16Array {
  const { bitsAllocated, photometric } = layout;
  const isHalved = photometric === "YBR_FULL_422";
  if (isHalved && (bitsAllocated !== 8 || layout.columns % 2 !== 0)) throw damagedDicom(name);
  const needed = (sampleCount(layout) * bitsAllocated) / 8 / (isHalved ? 1.5 : 1);
  if (pixelBytes.length < needed) throw damagedDicom(name);
  const isSwapped = transferSyntax === EXPLICIT_BIG && (bitsAllocated === 16 || pixelType === "OW");
  const bytes = isSwapped ? swapPairs(pixelBytes) : pixelBytes;
  if (bitsAllocated === 16) return new Uint16Array(bytes.slice(0, needed).buffer);
  return isHalved ? repeatChroma(bytes, sampleCount(layout)) : bytes.subarray(0, needed);
}

/** 16-bit words with their bytes exchanged; 8-bit samples come in such words too where their type is OW. */
function swapPairs(bytes: Uint8Array): Uint8Array {
  const swapped = new Uint8Array(bytes.length & ~1);
  for (let i = 0; i < swapped.length; i++) swapped[i] = bytes[i ^ 1];
  return swapped;
}

/** Y Y Cb Cr for every two pixels, as Y Cb Cr for each. */
function repeatChroma(bytes: Uint8Array, count: number): Uint8Array {
  const samples = new Uint8Array(count);
  for (let pixel = 0; pixel < count / 3; pixel++) {
    const pair = (pixel >> 1) * 4;
    samples.set([bytes[pair + (pixel & 1)], bytes[pair + 2], bytes[pair + 3]], 3 * pixel);
  }
  return samples;
}

/** The codec fills what a broken stream lacks with grey or gives up in ways that spoil it: the stream's frame is checked first. */
function checkJpegFrame({ layout, pixelBytes }: DicomImage, name: string): void {
  const frame = readJpegFrame(pixelBytes);
  const agrees =
    frame?.width === layout.columns &&
    frame.height === layout.rows &&
    frame.components === layout.samplesPerPixel &&
    frame.precision <= layout.bitsAllocated;
  if (!agrees) throw damagedDicom(name);
}

async function decompress(image: DicomImage, decoder: Decoder, name: string, wasm?: string): Promise<StoredSamples> {
  const { layout } = image;
  const codecs = await loadCodecs(wasm);
  const context = new codecs.Context({
    width: layout.columns,
    height: layout.rows,
    bitsAllocated: layout.bitsAllocated,
    bitsStored: layout.bitsStored,
    samplesPerPixel: layout.samplesPerPixel,
    pixelRepresentation: layout.signed ? 1 : 0,
    planarConfiguration: layout.planar ? 1 : 0,
    photometricInterpretation: layout.photometric,
    encodedBuffer: image.pixelBytes,
  });
  try {
    const isYbr = layout.photometric.startsWith("YBR");
    const decoded = codecs.NativeCodecs[decoder](context, { convertColorspaceToRgb: isYbr });
    const bytes = decoded.getDecodedBuffer() ?? new Uint8Array();
    if (bytes.length !== sampleCount(layout) * (layout.bitsAllocated / 8)) throw damagedDicom(name);
    const samples = layout.bitsAllocated === 8 ? bytes : new Uint16Array(bytes.slice().buffer);
    return { samples, layout: decodedLayout(layout, decoder, decoded.getPlanarConfiguration() === 1) };
  } catch {
    codecs.NativeCodecs.release(); // a failed call leaves the module in an unknown state
    throw damagedDicom(name);
  }
}

/** RLE keeps the stored cells and colours as they are; the other codecs give RGB and the stored bits at the bottom. */
function decodedLayout(layout: PixelLayout, decoder: Decoder, planar: boolean): PixelLayout {
  if (decoder === "decodeRle") return { ...layout, planar };
  const photometric = layout.samplesPerPixel === 3 ? "RGB" : layout.photometric;
  return { ...layout, photometric, planar, highBit: layout.bitsStored - 1 };
}

async function loadCodecs(wasm?: string): Promise<Codecs> {
  // The package is a CommonJS script: its exports are the default one.
  const { default: codecs } = (await import("dcmjs-codecs")) as unknown as { default: Codecs };
  if (!codecs.NativeCodecs.isInitialized()) {
    codecs.log.setLevel("silent");
    await codecs.NativeCodecs.initializeAsync({ webAssemblyModulePathOrUrl: wasm });
  }
  return codecs;
}
