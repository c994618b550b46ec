import { InputError } from "../errors.ts";
import { dtypeBytes, elementCount, type CheckpointDType } from "./dtype.ts";

/** Where a file is written to, piece after piece. A piece may be reused by the caller once the promise resolves. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** A tensor to be written. */
export interface TensorOutput {
  readonly name: string;
  readonly dtype: CheckpointDType;
  readonly shape: readonly number[];
  /** The bytes, row-major and little-endian, in pieces of any size; called once. */
  chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const dtypeOrder = Object.keys(dtypeBytes);

/**
 * Writes a safetensors file in one pass. The same tensors and metadata give the same bytes, in whatever order they come:
 * like the reference implementation it sorts by dtype (last of `dtypeBytes` first), then by name, which also aligns them,
 * and pads the header with spaces to a multiple of 8.
 * @throws InputError where a name occurs twice or a tensor's bytes do not fit its shape; the sink's file is then incomplete
 */
export async function writeSafetensors(sink: ByteSink, tensors: Iterable<TensorOutput>, metadata: Readonly<Record<string, string>> = {}): Promise<void> {
  const sorted = [...tensors].sort((a, b) => dtypeOrder.indexOf(b.dtype) - dtypeOrder.indexOf(a.dtype) || compareText(a.name, b.name));
  await sink.write(encodeHeader(sorted, metadata));
  for (const tensor of sorted) {
    const expected = byteLength(tensor);
    let written = 0;
    for await (const chunk of tensor.chunks()) {
      written += chunk.byteLength;
      if (written > expected) break;
      await sink.write(chunk);
    }
    if (written !== expected) throw new InputError(tensor.name, `${written} bytes or more were given for ${tensor.dtype} [${tensor.shape}], which takes ${expected}; give as many as the shape takes`);
  }
}

/** Bytes of a tensor by dtype and shape. @throws InputError where the shape is impossible */
function byteLength({ name, dtype, shape }: TensorOutput): number {
  const elements = elementCount(shape);
  if (elements === undefined) throw new InputError(name, `has the impossible shape [${shape}]; give sizes of 0 or more`);
  return elements * dtypeBytes[dtype];
}

function encodeHeader(sorted: readonly TensorOutput[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const parts: string[] = [];
  const names = new Set(["__metadata__"]);
  const facts = Object.entries(metadata).sort(([a], [b]) => compareText(a, b));
  if (facts.length > 0) parts.push(member("__metadata__", Object.fromEntries(facts)));
  let begin = 0;
  for (const tensor of sorted) {
    if (names.has(tensor.name)) throw new InputError(tensor.name, "is the name of two tensors, or the format's own; rename one");
    names.add(tensor.name);
    const end = begin + byteLength(tensor);
    parts.push(member(tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] }));
    begin = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return header;
}

function member(key: string, value: unknown): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
}

/** By UTF-16 code units: the same everywhere, unlike a locale's order. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
