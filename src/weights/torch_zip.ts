import { WeightsError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { dtypeBytes } from "./dtype.ts";
import { PickleEndError, readPickle } from "./pickle.ts";
import { shown } from "./shown.ts";
import { findStateDict } from "./state_dict.ts";
import { MAX_PICKLE_BYTES, torchCheckpoint, type TorchOptions } from "./torch_checkpoint.ts";
import { torchWorld, type StorageRef, type TensorRef } from "./torch_pickle.ts";
import { locateEntry, readZipDirectory, type ZipEntry } from "./zip.ts";

/**
 * Opens a file of `torch.save` since PyTorch 1.6: a zip archive with `data.pkl`, which describes tensors,
 * and one entry `data/<key>` for each storage. Storages are read by range; none is loaded here.
 * @throws WeightsError where the file is broken, hostile or holds no state dict
 */
export async function openTorchZip(source: ByteSource, options: TorchOptions = {}): Promise<Checkpoint> {
  const entries = await readZipDirectory(source);
  const pickle = [...entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) throw new WeightsError(source.name, "is a zip archive without data.pkl, so not one of torch.save; name a checkpoint");
  const root = pickle.name.slice(0, -"data.pkl".length);
  if (entries.has(`${root}constants.pkl`)) throw new WeightsError(source.name, "is a TorchScript program and not a state dict; save it with torch.save(model.state_dict(), …)");
  await checkByteOrder(source, entries.get(`${root}byteorder`));

  const stateDict = findStateDict(source.name, await readObject(source, pickle), options.stateDict);
  checkStorages(source.name, stateDict.tensors.values(), root, entries);
  const begins = new Map<string, Promise<number>>();
  return torchCheckpoint(source, "PyTorch zip", stateDict, ({ key }) => {
    const begin = begins.get(key) ?? locateEntry(source, entries.get(`${root}data/${key}`)!);
    begins.set(key, begin);
    return begin;
  });
}

async function readObject(source: ByteSource, entry: ZipEntry): Promise<unknown> {
  if (entry.size > MAX_PICKLE_BYTES) throw new WeightsError(source.name, `${entry.name} has ${entry.size} bytes, more than any state dict needs (${MAX_PICKLE_BYTES})`);
  const bytes = await source.read(await locateEntry(source, entry), entry.size);
  try {
    return readPickle(source.name, bytes, 0, torchWorld(source.name)).value;
  } catch (cause) {
    if (cause instanceof PickleEndError) throw new WeightsError(source.name, `${shown(entry.name)} ends within the pickle; the file is malformed`, { cause });
    throw cause;
  }
}

async function checkByteOrder(source: ByteSource, entry: ZipEntry | undefined): Promise<void> {
  if (entry === undefined) return; // files before PyTorch 2.1 do not say, and are little-endian
  const order = new TextDecoder().decode(await source.read(await locateEntry(source, entry), Math.min(entry.size, 16)));
  if (order !== "little") throw new WeightsError(source.name, `has the byte order ${shown(order)}; save it on a little-endian machine`);
}

/** Every storage that a tensor uses is in the archive and has the size that the pickle states. */
function checkStorages(file: string, tensors: Iterable<TensorRef>, root: string, entries: ReadonlyMap<string, ZipEntry>): void {
  for (const storage of new Set<StorageRef>([...tensors].map((tensor) => tensor.storage))) {
    const entry = entries.get(`${root}data/${storage.key}`);
    if (entry === undefined) throw new WeightsError(file, `the storage ${shown(storage.key)} is not in the archive; get the file again`);
    const bytes = storage.elements * dtypeBytes[storage.dtype];
    if (entry.size < bytes) throw new WeightsError(file, `the storage ${shown(storage.key)} has ${entry.size} bytes where ${bytes} are described; the file is malformed`);
  }
}
