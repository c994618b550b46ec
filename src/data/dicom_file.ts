import dicomParser, { type DataSet, type Element } from "dicom-parser";
import { Inflate } from "fflate";
import { concatenate } from "../bytes.ts";
import { InputError } from "../errors.ts";
import { checkFilmSize } from "./film.ts";

/** Colour models that are drawn; see DICOM PS3.3 C.7.6.3.1.2. */
export type Photometric = "MONOCHROME1" | "MONOCHROME2" | "RGB" | "YBR_FULL" | "YBR_FULL_422" | "YBR_ICT" | "YBR_RCT";

const PHOTOMETRICS: readonly string[] = ["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"];

/** How pixels lie in their bytes. */
export interface PixelLayout {
  readonly rows: number;
  readonly columns: number;
  readonly samplesPerPixel: 1 | 3;
  readonly photometric: Photometric;
  /** Planes of one colour after the other, instead of interleaved colours. */
  readonly planar: boolean;
  readonly bitsAllocated: 8 | 16;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
}

/** A single-frame image: its data set, the layout of its pixels, and their bytes as the transfer syntax codes them. */
export interface DicomImage {
  readonly dataSet: DataSet;
  readonly transferSyntax: string;
  readonly layout: PixelLayout;
  readonly pixelBytes: Uint8Array;
  /** The type of the pixel data element: OB or OW; undefined where types are implicit. */
  readonly pixelType: string | undefined;
}

const IMPLICIT_LITTLE = "1.2.840.10008.1.2";
const EXPLICIT_LITTLE = "1.2.840.10008.1.2.1";
/** Transfer syntax UID of uncompressed pixels with the high byte first. */
export const EXPLICIT_BIG = "1.2.840.10008.1.2.2";

/** Inflated data sets may not be larger than the largest film of 16 bits and its headers. */
const MAX_INFLATED = 2 ** 30;

/**
 * Parses a DICOM file, with or without preamble and file meta header.
 * No message holds a value of the file's headers: they are about a patient.
 * @throws InputError for a file that is damaged, truncated, or not one grey or colour frame
 */
export function openDicom(bytes: Uint8Array, name: string): DicomImage {
  const dataSet = parse(bytes, name);
  const element = dataSet.elements.x7fe00010;
  if (!element || element.length === 0) {
    throw new InputError(name, "is a DICOM file without pixels, such as a report; give an image object");
  }
  if (Number(dataSet.string("x00280008") ?? 1) > 1) {
    throw new InputError(name, "is a DICOM file with more than one frame; save the frame you want as a file of its own");
  }
  const layout = readLayout(dataSet, name);
  return {
    dataSet,
    layout,
    transferSyntax: dataSet.string("x00020010") ?? IMPLICIT_LITTLE,
    pixelBytes: pixelBytes(dataSet, element, name),
    pixelType: element.vr,
  };
}

/** The error for any file whose structure does not hold. */
export function damagedDicom(name: string): InputError {
  return new InputError(name, "is a damaged or truncated DICOM file; fetch it again from its archive");
}

function parse(bytes: Uint8Array, name: string): DataSet {
  const { whole, transferSyntax } = withPreamble(bytes);
  try {
    return dicomParser.parseDicom(whole, { TransferSyntaxUID: transferSyntax, inflater: inflateDataSet });
  } catch {
    throw damagedDicom(name);
  }
}

/** A file without preamble gets one; one without file meta header too is told by its first element what it is written in. */
function withPreamble(bytes: Uint8Array): { whole: Uint8Array; transferSyntax?: string } {
  if (String.fromCharCode(...bytes.subarray(128, 132)) === "DICM") return { whole: bytes };
  if (bytes[0] === 2) {
    const whole = new Uint8Array(132 + bytes.length);
    whole.set([0x44, 0x49, 0x43, 0x4d], 128);
    whole.set(bytes, 132);
    return { whole };
  }
  if (bytes[0] === 0) return { whole: bytes, transferSyntax: EXPLICIT_BIG };
  const hasTypes = bytes[4] >= 0x41 && bytes[5] >= 0x41;
  return { whole: bytes, transferSyntax: hasTypes ? EXPLICIT_LITTLE : IMPLICIT_LITTLE };
}

/** The file meta header up to `position`, and the deflated data set after it, inflated. */
function inflateDataSet(bytes: Uint8Array, position: number): Uint8Array {
  const chunks = [bytes.subarray(0, position)];
  let length = position;
  const inflate = new Inflate((chunk) => {
    length += chunk.length;
    if (length > MAX_INFLATED) throw new RangeError("the inflated data set is too large");
    chunks.push(chunk);
  });
  inflate.push(bytes.subarray(position), true);
  return concatenate(chunks);
}

function readLayout(dataSet: DataSet, name: string): PixelLayout {
  const rows = dataSet.uint16("x00280010") ?? 0;
  const columns = dataSet.uint16("x00280011") ?? 0;
  checkFilmSize(name, columns, rows);
  const samplesPerPixel = dataSet.uint16("x00280002") ?? 1;
  const bitsAllocated = dataSet.uint16("x00280100");
  const bitsStored = dataSet.uint16("x00280101") ?? bitsAllocated ?? 0;
  const highBit = dataSet.uint16("x00280102") ?? bitsStored - 1;
  if ((bitsAllocated !== 8 && bitsAllocated !== 16) || bitsStored < 1 || highBit >= bitsAllocated || highBit < bitsStored - 1) {
    throw new InputError(name, "is a DICOM image whose pixels do not lie in 8 or 16 bits; convert it to 16 bits");
  }
  const photometric = dataSet.string("x00280004") ?? "MONOCHROME2";
  const isColour = !photometric.startsWith("MONOCHROME");
  if (!PHOTOMETRICS.includes(photometric) || samplesPerPixel !== (isColour ? 3 : 1)) {
    throw new InputError(name, "is a DICOM image whose colours are neither grey nor RGB nor YBR; convert it to grey");
  }
  return {
    rows,
    columns,
    samplesPerPixel: isColour ? 3 : 1,
    photometric: photometric as Photometric,
    planar: isColour && dataSet.uint16("x00280006") === 1,
    bitsAllocated,
    bitsStored,
    highBit,
    signed: dataSet.uint16("x00280103") === 1,
  };
}

/** The frame's bytes; fragments of an encapsulated frame joined. */
function pixelBytes(dataSet: DataSet, element: Element, name: string): Uint8Array {
  const bytes = dataSet.byteArray;
  const pieces = element.encapsulatedPixelData
    ? (element.fragments ?? [])
    : [{ position: element.dataOffset, length: element.length }];
  if (pieces.length === 0 || pieces.some(({ position, length }) => position + length > bytes.length)) throw damagedDicom(name);
  return concatenate(pieces.map(({ position, length }) => bytes.subarray(position, position + length)));
}
