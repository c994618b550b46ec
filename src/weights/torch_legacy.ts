import { WeightsError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { dtypeBytes } from "./dtype.ts";
import { PickleEndError, readPickle, type PickleWorld } from "./pickle.ts";
import { shown } from "./shown.ts";
import { findStateDict } from "./state_dict.ts";
import { MAX_PICKLE_BYTES, torchCheckpoint, type TorchOptions } from "./torch_checkpoint.ts";
import { isStorage, torchWorld, type StorageRef } from "./torch_pickle.ts";

/** First value of every file of this format, and the second: its version. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
/** Bytes that are read first to find the pickles in. */
const FIRST_BYTES = 2 ** 16;

/**
 * Opens a file of `torch.save` before PyTorch 1.6: pickles of a magic number, a version, facts about the machine, the object
 * and the list of its storages' keys; then each storage as a count of elements (8 bytes) and its bytes.
 * @throws WeightsError where the file is broken, hostile or holds no state dict
 */
export async function openTorchLegacy(source: ByteSource, options: TorchOptions = {}): Promise<Checkpoint> {
  const storages = new Map<string, StorageRef>();
  const world = rememberStorages(source.name, torchWorld(source.name), storages);
  const { values: [magic, protocol, machine, object, keys], end } = await readPickles(source, 5, world);
  if (magic !== MAGIC) throw new WeightsError(source.name, "is a pickle that torch.save did not write; name a checkpoint");
  if (protocol !== PROTOCOL) throw new WeightsError(source.name, `has version ${shown(protocol)} of the format where ${PROTOCOL} is known; save it again with a newer PyTorch`);
  if (!(machine instanceof Map) || machine.get("little_endian") !== true) throw new WeightsError(source.name, "was not saved on a little-endian machine; save it again on one");
  const begins = await placeStorages(source, end, keys, storages);
  const stateDict = findStateDict(source.name, object, options.stateDict);
  return torchCheckpoint(source, "PyTorch legacy", stateDict, async ({ key }) => begins.get(key)!);
}

function rememberStorages(file: string, world: PickleWorld, storages: Map<string, StorageRef>): PickleWorld {
  return {
    call: world.call,
    persistent(id) {
      const storage = world.persistent(id);
      if (!isStorage(storage)) return storage;
      const before = storages.get(storage.key);
      if (before !== undefined && (before.dtype !== storage.dtype || before.elements !== storage.elements)) {
        throw new WeightsError(file, `describes the storage ${shown(storage.key)} in two ways; the file is malformed`);
      }
      storages.set(storage.key, storage);
      return storage;
    },
  };
}

/** Reads `count` pickles from the beginning of the file, of which it reads as much as they need. */
async function readPickles(source: ByteSource, count: number, world: PickleWorld): Promise<{ values: unknown[]; end: number }> {
  for (let length = FIRST_BYTES; ; length *= 4) {
    const available = Math.min(length, source.size, MAX_PICKLE_BYTES);
    const bytes = await source.read(0, available);
    try {
      const values: unknown[] = [];
      let end = 0;
      while (values.length < count) {
        const pickle = readPickle(source.name, bytes, end, world);
        values.push(pickle.value);
        end = pickle.end;
      }
      return { values, end };
    } catch (cause) {
      if (!(cause instanceof PickleEndError)) throw cause;
      if (available === source.size) throw new WeightsError(source.name, `ends at byte ${available} within a pickle; it is truncated, get it again`, { cause });
      if (available === MAX_PICKLE_BYTES) throw new WeightsError(source.name, `its pickles take more than ${MAX_PICKLE_BYTES} bytes, more than any state dict needs`, { cause });
    }
  }
}

/** First byte of each storage, in the order of `keys`; every count of elements is compared with what the pickle states. */
async function placeStorages(source: ByteSource, start: number, keys: unknown, storages: ReadonlyMap<string, StorageRef>): Promise<Map<string, number>> {
  if (!Array.isArray(keys)) throw new WeightsError(source.name, "has no list of storages; the file is malformed");
  const begins = new Map<string, number>();
  let at = start;
  for (const key of keys as unknown[]) {
    const storage = storages.get(key as string);
    if (storage === undefined || begins.has(storage.key)) throw new WeightsError(source.name, `lists the storage ${shown(key)}, which no tensor uses or which it listed before; the file is malformed`);
    const count = await source.read(at, 8);
    const elements = new DataView(count.buffer, count.byteOffset, 8).getBigInt64(0, true);
    if (elements !== BigInt(storage.elements)) throw new WeightsError(source.name, `the storage ${shown(key)} has ${elements} elements where ${storage.elements} are described; the file is malformed`);
    begins.set(storage.key, at + 8);
    at += 8 + storage.elements * dtypeBytes[storage.dtype];
    if (at > source.size) throw new WeightsError(source.name, `the storage ${shown(key)} reaches to byte ${at} of ${source.size}; the file is truncated, get it again`);
  }
  for (const key of storages.keys()) {
    if (!begins.has(key)) throw new WeightsError(source.name, `does not list the storage ${shown(key)}, which a tensor uses; the file is malformed`);
  }
  return begins;
}
