import type { DataSet } from "dicom-parser";
import type { StoredSamples } from "./dicom_codecs.ts";
import type { PixelLayout } from "./dicom_file.ts";

/** A lookup table of DICOM: `values[0]` for inputs up to `first`, the last for inputs beyond its end. */
interface LookupTable {
  readonly first: number;
  readonly bits: number;
  readonly values: readonly number[];
}

/**
 * Stored values of a monochrome image to 8-bit grey, bright where film would be bright (DICOM PS3.3 C.11.1 and C.11.2):
 * modality table or slope and intercept; then the VOI table, or else the first window; or else the range of the values
 * that occur, as the conversions of the public data sets do. MONOCHROME1 is inverted. Padding has no part in the range
 * and is drawn black.
 * @returns rows * columns values
 */
export function drawGrey({ layout, samples }: StoredSamples, dataSet: DataSet): Uint8Array {
  const shift = layout.highBit - layout.bitsStored + 1;
  const mask = 2 ** layout.bitsStored - 1;
  const present = new Uint8Array(mask + 1);
  for (let i = 0; i < samples.length; i++) present[(samples[i] >> shift) & mask] = 1;
  const table = greyTable(layout, dataSet, present);
  const grey = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) grey[i] = table[(samples[i] >> shift) & mask];
  return grey;
}

/** Grey of each pattern of stored bits that occurs. */
function greyTable(layout: PixelLayout, dataSet: DataSet, present: Uint8Array): Uint8Array {
  const codes = [...present.keys()].filter((code) => present[code] === 1);
  const isPadding = paddingTest(dataSet, layout.signed);
  const modality = modalityTransform(dataSet, layout.signed);
  const drawn = codes
    .map((code) => ({ code, stored: toStored(code, layout) }))
    .filter(({ stored }) => !isPadding(stored))
    .map(({ code, stored }) => ({ code, value: modality(stored) }));
  const voi = voiTransform(dataSet, layout.signed) ?? rangeTransform(drawn.map(({ value }) => value));
  const table = new Uint8Array(present.length);
  for (const { code, value } of drawn) {
    const grey = Math.round(255 * Math.min(Math.max(voi(value), 0), 1));
    table[code] = layout.photometric === "MONOCHROME1" ? 255 - grey : grey;
  }
  return table;
}

function toStored(code: number, { signed, bitsStored }: PixelLayout): number {
  return signed && code >= 2 ** (bitsStored - 1) ? code - 2 ** bitsStored : code;
}

/** Pixel Padding Value, or the range from it to Pixel Padding Range Limit. */
function paddingTest(dataSet: DataSet, signed: boolean): (stored: number) => boolean {
  const read = (tag: string) => (signed ? dataSet.int16(tag) : dataSet.uint16(tag));
  const value = read("x00280120");
  if (value === undefined) return () => false;
  const limit = read("x00280121") ?? value;
  return (stored) => stored >= Math.min(value, limit) && stored <= Math.max(value, limit);
}

function modalityTransform(dataSet: DataSet, signed: boolean): (stored: number) => number {
  const table = readTable(dataSet, "x00283000", signed);
  if (table) return (stored) => lookUp(table, stored);
  const slope = dataSet.floatString("x00281053") || 1; // 0 and what is no number would leave nothing to see
  const intercept = dataSet.floatString("x00281052") || 0;
  return (stored) => stored * slope + intercept;
}

/** The VOI table or the first window, to [0, 1]; undefined where the file has neither, or a window of no width. */
function voiTransform(dataSet: DataSet, signed: boolean): ((value: number) => number) | undefined {
  const table = readTable(dataSet, "x00283010", signed);
  if (table) return (value) => lookUp(table, value) / (2 ** table.bits - 1);
  const centre = dataSet.floatString("x00281050");
  const width = dataSet.floatString("x00281051");
  if (centre === undefined || width === undefined || !Number.isFinite(centre) || !(width > 0)) return undefined;
  switch (dataSet.string("x00281056")) {
    case "SIGMOID":
      return (value) => 1 / (1 + Math.exp((-4 * (value - centre)) / width));
    case "LINEAR_EXACT":
      return (value) => (value - centre) / width + 0.5;
    default:
      return linearWindow(centre, width);
  }
}

/** The default window function, whose width counts the values from the first to the last that are not black or white. */
function linearWindow(centre: number, width: number): (value: number) => number {
  const middle = centre - 0.5;
  const half = Math.max(width - 1, 0) / 2;
  return (value) => {
    if (value <= middle - half) return 0;
    return value > middle + half ? 1 : (value - middle) / (2 * half) + 0.5;
  };
}

function rangeTransform(values: readonly number[]): (value: number) => number {
  let [min, max] = [Infinity, -Infinity];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return (value) => (max > min ? (value - min) / (max - min) : 0);
}

/** The first item of a sequence of lookup tables; undefined where there is none or it holds no values. */
function readTable(dataSet: DataSet, sequence: string, signed: boolean): LookupTable | undefined {
  const item = dataSet.elements[sequence]?.items?.[0]?.dataSet;
  const data = item?.elements.x00283006;
  const bits = item?.uint16("x00283002", 2);
  if (!item || !data || !bits) return undefined;
  const entries = item.uint16("x00283002", 0) || 2 ** 16;
  const type = item.elements.x00283002.vr;
  const isSigned = type ? type === "SS" : signed;
  const first = (isSigned ? item.int16("x00283002", 1) : item.uint16("x00283002", 1)) ?? 0;
  const isBytes = data.length < 2 * entries;
  const count = Math.min(entries, isBytes ? data.length : data.length / 2);
  const read = (i: number) => (isBytes ? item.byteArray[data.dataOffset + i] : item.uint16("x00283006", i)) ?? 0;
  return { first, bits, values: Array.from({ length: count }, (_, i) => read(i)) };
}

function lookUp({ first, values }: LookupTable, input: number): number {
  return values[Math.min(Math.max(Math.round(input) - first, 0), values.length - 1)];
}
