import { WeightsError } from "../errors.ts";
import { decodeUtf8, type ByteSource } from "./byte_source.ts";
import { shown } from "./shown.ts";

/** One file of a zip archive that is stored without compression. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** Where its local header begins in the archive. */
  readonly headerOffset: number;
}

/** Largest central directory that is read: a million entries. */
const MAX_DIRECTORY_BYTES = 100_000_000;
/** Bytes of an end record without comment, and the longest comment. */
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const ZIP64_LOCATOR = 0x07064b50;
const ZIP64_END = 0x06064b50;

/**
 * Reads the directory of a zip archive by ranges; zip64 is understood, compression and encryption are refused.
 * Every entry is checked to lie before the directory.
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (sections 4.3 and 4.5.3)
 * @throws WeightsError where the archive is truncated or malformed
 */
export async function readZipDirectory(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const { count, size, offset, end } = await findDirectory(source);
  const fail = zipFailure(source.name);
  if (offset + size > end) fail(`its directory (${size} bytes at ${offset}) overlaps its end at ${end}`);
  if (size > MAX_DIRECTORY_BYTES) fail(`its directory claims ${size} bytes`);
  const directory = viewOf(await source.read(offset, size));
  const entries = new Map<string, ZipEntry>();
  for (let at = 0, index = 0; index < count; index++) {
    if (at + 46 > size || directory.getUint32(at, true) !== CENTRAL) fail(`entry ${index} of its directory is broken`);
    const { entry, length } = parseEntry(source.name, directory, at);
    if (entry.headerOffset + 30 + entry.size > offset) fail(`its entry ${shown(entry.name)} (${entry.size} bytes at ${entry.headerOffset}) reaches past byte ${offset}`);
    if (entries.has(entry.name)) fail(`it has the entry ${shown(entry.name)} twice`);
    entries.set(entry.name, entry);
    at += length;
  }
  return entries;
}

/** First byte of an entry's contents: behind the local header, whose padding only it knows. @throws WeightsError where that is broken */
export async function locateEntry(source: ByteSource, entry: ZipEntry): Promise<number> {
  const header = viewOf(await source.read(entry.headerOffset, 30));
  if (header.getUint32(0, true) !== LOCAL) zipFailure(source.name)(`its entry ${shown(entry.name)} has no header at byte ${entry.headerOffset}`);
  const begin = entry.headerOffset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (begin + entry.size > source.size) zipFailure(source.name)(`its entry ${shown(entry.name)} ends behind the file`);
  return begin;
}

interface DirectoryPlace {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
  /** Where the end record begins, which the directory must not pass. */
  readonly end: number;
}

async function findDirectory(source: ByteSource): Promise<DirectoryPlace> {
  const tailStart = Math.max(0, source.size - END_BYTES - MAX_COMMENT_BYTES);
  const tail = viewOf(await source.read(tailStart, source.size - tailStart));
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    // The comment reaches exactly to the end of the file: otherwise these four bytes are somebody's data.
    if (tail.getUint32(at, true) !== END || at + END_BYTES + tail.getUint16(at + 20, true) !== tail.byteLength) continue;
    const end = tailStart + at;
    const zip64 = await findZip64Directory(source, end);
    return zip64 ?? { count: tail.getUint16(at + 10, true), size: tail.getUint32(at + 12, true), offset: tail.getUint32(at + 16, true), end };
  }
  return zipFailure(source.name)("its directory, which stands at the end, is missing");
}

async function findZip64Directory(source: ByteSource, end: number): Promise<DirectoryPlace | undefined> {
  if (end < 20) return undefined;
  const locator = viewOf(await source.read(end - 20, 20));
  if (locator.getUint32(0, true) !== ZIP64_LOCATOR) return undefined;
  const fail = zipFailure(source.name);
  const place = sizeAt(source.name, locator, 8);
  if (place + 56 > end - 20) fail(`its zip64 end record is said to be at byte ${place}`);
  const record = viewOf(await source.read(place, 56));
  if (record.getUint32(0, true) !== ZIP64_END) fail(`its zip64 end record is not at byte ${place}`);
  const [count, size, offset] = [32, 40, 48].map((at) => sizeAt(source.name, record, at));
  return { count, size, offset, end: place };
}

function parseEntry(archive: string, directory: DataView, at: number): { entry: ZipEntry; length: number } {
  const fail = zipFailure(archive);
  const nameLength = directory.getUint16(at + 28, true);
  const extraLength = directory.getUint16(at + 30, true);
  const extra = at + 46 + nameLength;
  const length = 46 + nameLength + extraLength + directory.getUint16(at + 32, true);
  if (at + length > directory.byteLength) fail("an entry of its directory is broken");
  const name = decodeUtf8(archive, new Uint8Array(directory.buffer, directory.byteOffset + at + 46, nameLength));
  if ((directory.getUint16(at + 8, true) & 1) === 1) fail(`its entry ${shown(name)} is encrypted`);
  if (directory.getUint16(at + 10, true) !== 0) {
    throw new WeightsError(archive, `the entry ${shown(name)} is compressed, which torch.save never does; unzip it and zip it again without compression`);
  }
  // Order of the zip64 field: each value is there only where the 32-bit field is all ones.
  const wide = zip64Values(archive, directory, extra, extraLength);
  const take = (offset: number) => (directory.getUint32(at + offset, true) === 0xffffffff ? wide.shift() : directory.getUint32(at + offset, true));
  const [size, packedSize, headerOffset] = [take(24), take(20), take(42)];
  if (size === undefined || packedSize !== size || headerOffset === undefined) return fail(`the sizes of its entry ${shown(name)} are broken`);
  return { entry: { name, size, headerOffset }, length };
}

function zip64Values(archive: string, directory: DataView, extra: number, extraLength: number): number[] {
  for (let at = extra; at + 4 <= extra + extraLength; ) {
    const size = directory.getUint16(at + 2, true);
    if (at + 4 + size > extra + extraLength) break;
    if (directory.getUint16(at, true) === 1) {
      return Array.from({ length: Math.min(3, Math.floor(size / 8)) }, (_, index) => sizeAt(archive, directory, at + 4 + 8 * index));
    }
    at += 4 + size;
  }
  return [];
}

function sizeAt(archive: string, view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : zipFailure(archive)(`it states ${value} bytes`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function zipFailure(archive: string): (fact: string) => never {
  return (fact) => {
    throw new WeightsError(archive, `the zip archive is truncated or malformed: ${fact}; get the file again`);
  };
}
