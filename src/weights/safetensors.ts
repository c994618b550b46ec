import { WeightsError } from "../errors.ts";
import { decodeUtf8, parseJson, type ByteSource } from "./byte_source.ts";
import { checkTensorRange, type Checkpoint, type TensorEntry } from "./checkpoint.ts";
import { dtypeBytes, elementCount, isCheckpointDType, isSize } from "./dtype.ts";
import { duplicateKey } from "./json_keys.ts";
import { shown } from "./shown.ts";

/** Largest header that is read, the limit of the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

interface Placed {
  readonly entry: TensorEntry;
  /** First byte in the file. */
  readonly begin: number;
}

/**
 * Opens a safetensors file: 8 bytes with the header's length (little-endian), the header as JSON, the tensors without gaps.
 * The whole header is checked before any tensor is read. Tensors need not be aligned: reading copies them.
 * @see https://github.com/huggingface/safetensors (README, "Format")
 * @throws WeightsError that names the file and what is wrong with it
 */
export async function openSafetensors(source: ByteSource): Promise<Checkpoint> {
  const headerBytes = await readHeaderLength(source);
  const text = decodeUtf8(source.name, await source.read(8, headerBytes));
  const header = parseHeader(source.name, text);
  const { __metadata__: metadata = {}, ...described } = header;
  const dataStart = 8 + headerBytes;
  const placed = Object.entries(described).map(([name, value]) => placeTensor(source, name, value, dataStart));
  checkCoverage(source, placed, dataStart);

  const tensors = new Map(placed.map(({ entry }) => [entry.name, entry]));
  const begins = new Map(placed.map(({ entry, begin }) => [entry.name, begin]));
  const checkpoint: Checkpoint = {
    name: source.name,
    format: "safetensors",
    stateDict: "",
    tensors,
    metadata: checkMetadata(source.name, metadata),
    async read(entry, byteOffset, byteLength, into) {
      checkTensorRange(checkpoint, entry, byteOffset, byteLength);
      return source.read(begins.get(entry.name)! + byteOffset, byteLength, into);
    },
    close: () => source.close(),
  };
  return checkpoint;
}

async function readHeaderLength(source: ByteSource): Promise<number> {
  if (source.size < 8) throw new WeightsError(source.name, `${source.size} bytes are too few for a safetensors file; get it again`);
  const head = await source.read(0, 8);
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) throw new WeightsError(source.name, `the header claims ${length} bytes, more than the ${MAX_HEADER_BYTES} allowed; the file is malformed`);
  if (8 + Number(length) > source.size) throw new WeightsError(source.name, `the header claims ${length} bytes of a file of ${source.size}; it is truncated or malformed, get it again`);
  return Number(length);
}

function parseHeader(name: string, text: string): Record<string, unknown> {
  if (!text.startsWith("{")) throw new WeightsError(name, "the safetensors header does not begin with {; the file is malformed");
  const header = parseJson(`${name} (safetensors header)`, text) as Record<string, unknown>;
  const twice = duplicateKey(text);
  if (twice !== undefined) throw new WeightsError(name, `the header names ${shown(twice)} twice; the file is malformed`);
  return header;
}

function placeTensor(source: ByteSource, name: string, value: unknown, dataStart: number): Placed {
  const fail = (fact: string): never => {
    throw new WeightsError(source.name, `tensor ${shown(name)} ${fact}; the file is truncated or malformed`);
  };
  if (typeof value !== "object" || value === null) return fail("has no description");
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (!isCheckpointDType(dtype)) return fail(`has the unknown dtype ${shown(dtype)}`);
  const elements = elementCount(shape);
  if (elements === undefined) return fail(`has the impossible shape ${shown(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) return fail(`has the impossible offsets ${shown(offsets)}`);
  const [begin, end] = offsets;
  if (begin > end || dataStart + end > source.size) return fail(`lies at bytes ${begin} to ${end} of ${source.size - dataStart}`);
  const byteLength = elements * dtypeBytes[dtype];
  if (byteLength !== end - begin) return fail(`of ${dtype} ${shown(shape)} takes ${byteLength} bytes and has ${end - begin}`);
  return { entry: { name, dtype, shape: shape as number[], byteLength }, begin: dataStart + begin };
}

/** The format demands that the tensors fill the file: no overlap, no gap, nothing behind. */
function checkCoverage(source: ByteSource, placed: readonly Placed[], dataStart: number): void {
  let covered = dataStart;
  let previous = "the header";
  const inOrder = [...placed].sort((a, b) => a.begin - b.begin || a.entry.byteLength - b.entry.byteLength);
  for (const { entry, begin } of inOrder) {
    if (begin < covered) throw new WeightsError(source.name, `tensor ${shown(entry.name)} overlaps ${previous}; the file is malformed`);
    if (begin > covered) throw new WeightsError(source.name, `${begin - covered} bytes before tensor ${shown(entry.name)} belong to none; the file is malformed`);
    covered = begin + entry.byteLength;
    previous = shown(entry.name);
  }
  if (covered !== source.size) throw new WeightsError(source.name, `${source.size - covered} bytes behind the last tensor belong to none; the file is malformed`);
}

function checkMetadata(name: string, metadata: unknown): Record<string, string> {
  const isText = typeof metadata === "object" && metadata !== null && Object.values(metadata).every((value) => typeof value === "string");
  if (!isText) throw new WeightsError(name, "__metadata__ is not a map of strings; the file is malformed");
  return metadata as Record<string, string>;
}
