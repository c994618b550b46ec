import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { memorySource } from "../src/weights/byte_source.ts";
import { openCheckpointSource } from "../src/weights/open_checkpoint.ts";
import type { Checkpoint } from "../src/weights/checkpoint.ts";
import type { TorchOptions } from "../src/weights/torch_checkpoint.ts";

/** A folder for one test, removed afterwards. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "attnscope-weights-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens bytes as a checkpoint called `test.bin`. */
export function openBytes(bytes: Uint8Array, options: TorchOptions = {}): Promise<Checkpoint> {
  return openCheckpointSource(memorySource("test.bin", bytes), options);
}

/** Every tensor of a checkpoint, read whole. */
export async function readAll(checkpoint: Checkpoint): Promise<Map<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>> {
  const tensors = new Map<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>();
  for (const entry of checkpoint.tensors.values()) {
    tensors.set(entry.name, { dtype: entry.dtype, shape: entry.shape, bytes: await checkpoint.read(entry, 0, entry.byteLength) });
  }
  return tensors;
}

/** A safetensors file with any header, right or wrong. */
export function safetensorsFile(header: string | Buffer | object, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = Buffer.isBuffer(header) ? header : Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  return Buffer.concat([length, json, data]);
}

/** Bytes of float32 values. */
export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(new Float32Array(values).buffer);
}

/** Opcodes of pickle, enough to write what torch.save writes and what it does not. */
export const pickle = {
  file: (...parts: Buffer[]) => Buffer.concat([Buffer.from([0x80, 2]), ...parts, Buffer.from(".")]),
  text: (value: string) => Buffer.concat([Buffer.from("X"), uint32(Buffer.byteLength(value)), Buffer.from(value)]),
  int: (value: number) => Buffer.concat([Buffer.from("J"), uint32(value)]),
  none: Buffer.from("N"),
  tuple: (...items: Buffer[]) => Buffer.concat([Buffer.from("("), ...items, Buffer.from("t")]),
  list: (...items: Buffer[]) => Buffer.concat([Buffer.from("]("), ...items, Buffer.from("e")]),
  dict: (...pairs: Buffer[]) => Buffer.concat([Buffer.from("}("), ...pairs, Buffer.from("u")]),
  global: (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`),
  call: (callable: Buffer, ...args: Buffer[]) => Buffer.concat([callable, pickle.tuple(...args), Buffer.from("R")]),
  storage: (type: string, key: string, elements: number, ...view: Buffer[]) => Buffer.concat([
    pickle.tuple(pickle.text("storage"), pickle.global("torch", type), pickle.text(key), pickle.text("cpu"), pickle.int(elements), ...view),
    Buffer.from("Q"),
  ]),
  tensor: (storage: Buffer, offset: number, shape: number[], strides: number[]) => pickle.call(
    pickle.global("torch._utils", "_rebuild_tensor_v2"), storage, pickle.int(offset),
    pickle.tuple(...shape.map(pickle.int)), pickle.tuple(...strides.map(pickle.int)),
    Buffer.from([0x89]), pickle.call(pickle.global("collections", "OrderedDict"))),
};

/** A file of torch.save: the pickle file of the object and the storages by key. */
export function torchZip(object: Buffer, storages: Record<string, Uint8Array> = {}, options: ZipOptions = {}): Uint8Array {
  const files = Object.entries(storages).map(([key, bytes]): [string, Uint8Array] => [`archive/data/${key}`, bytes]);
  return zipFile([["archive/data.pkl", object], ...files], options);
}

/** A file of torch.save before PyTorch 1.6: the pickle file of the object and the storages by key. */
export function torchLegacy(object: Buffer, storages: Record<string, { elements: number; bytes: Uint8Array }>): Uint8Array {
  const magic = Buffer.from("80028a0a6cfc9c46f9206aa850192e", "hex");
  const machine = pickle.dict(pickle.text("little_endian"), Buffer.from([0x88]));
  const blocks = Object.values(storages).flatMap(({ elements, bytes }) => [uint32(elements), uint32(0), Buffer.from(bytes)]);
  return Buffer.concat([
    magic, pickle.file(pickle.int(1001)), pickle.file(machine), object,
    pickle.file(pickle.list(...Object.keys(storages).map(pickle.text))), ...blocks,
  ]);
}

export interface ZipOptions {
  /** State sizes and offsets in zip64 fields only. */
  readonly zip64?: boolean;
  readonly compression?: number;
  readonly flags?: number;
  readonly comment?: string;
}

/** A zip archive of stored files. */
export function zipFile(files: [string, Uint8Array][], { zip64 = false, compression = 0, flags = 0, comment = "" }: ZipOptions = {}): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const padding = Buffer.alloc(5, "Z"); // local headers have extra fields that the directory has not
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    local.writeUInt16LE(padding.byteLength, 28);
    const part = Buffer.concat([local, Buffer.from(name), padding, bytes]);
    directory.push(directoryEntry(name, bytes.byteLength, offset, zip64, compression, flags));
    parts.push(part);
    offset += part.byteLength;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(zip64 ? 0xffff : files.length, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : entries.byteLength, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  end.writeUInt16LE(comment.length, 20);
  const end64 = zip64 ? zip64End(files.length, entries.byteLength, offset) : Buffer.alloc(0);
  return Buffer.concat([...parts, entries, end64, end, Buffer.from(comment)]);
}

function directoryEntry(name: string, size: number, offset: number, zip64: boolean, compression: number, flags: number): Buffer {
  const entry = Buffer.alloc(46);
  const extra = zip64 ? Buffer.alloc(28) : Buffer.alloc(0);
  entry.writeUInt32LE(0x02014b50);
  entry.writeUInt16LE(flags, 8);
  entry.writeUInt16LE(compression, 10);
  for (const [at, value] of [[20, size], [24, size], [42, offset]]) entry.writeUInt32LE(zip64 ? 0xffffffff : value, at);
  entry.writeUInt16LE(Buffer.byteLength(name), 28);
  entry.writeUInt16LE(extra.byteLength, 30);
  if (zip64) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    [size, size, offset].forEach((value, index) => extra.writeBigUInt64LE(BigInt(value), 4 + 8 * index));
  }
  return Buffer.concat([entry, Buffer.from(name), extra]);
}

function zip64End(count: number, size: number, offset: number): Buffer {
  const record = Buffer.alloc(76);
  record.writeUInt32LE(0x06064b50);
  [count, size, offset].forEach((value, index) => record.writeBigUInt64LE(BigInt(value), 32 + 8 * index));
  record.writeUInt32LE(0x07064b50, 56);
  record.writeBigUInt64LE(BigInt(offset + size), 64);
  return record;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
