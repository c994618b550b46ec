import { WeightsError } from "../errors.ts";
import { readTarget, type ByteSource } from "./byte_source.ts";
import { checkTensorRange, type Checkpoint, type CheckpointFormat, type TensorEntry } from "./checkpoint.ts";
import { dtypeBytes } from "./dtype.ts";
import { shown } from "./shown.ts";
import type { StateDict } from "./state_dict.ts";
import { gather, isContiguous } from "./strided.ts";
import type { StorageRef, TensorRef } from "./torch_pickle.ts";

/** Largest pickle that is read: a state dict of a thousand tensors takes a quarter of a megabyte. */
export const MAX_PICKLE_BYTES = 32 * 2 ** 20;

/** Options for reading PyTorch files. */
export interface TorchOptions {
  /** Key of the file's root under which the state dict is; found out where it is absent. */
  readonly stateDict?: string;
}

/**
 * The checkpoint of a state dict whose storages lie in `source`.
 * @param storageBegin first byte of a storage in the source
 */
export function torchCheckpoint(source: ByteSource, format: CheckpointFormat, stateDict: StateDict,
  storageBegin: (storage: StorageRef) => Promise<number>): Checkpoint {
  const entries = [...stateDict.tensors].map(([name, tensor]): [string, TensorEntry] => [name, describe(name, tensor)]);
  const checkpoint: Checkpoint = {
    name: source.name,
    format,
    stateDict: stateDict.key,
    tensors: new Map(entries),
    metadata: stateDict.metadata,
    async read(entry, byteOffset, byteLength, into) {
      checkTensorRange(checkpoint, entry, byteOffset, byteLength);
      const tensor = stateDict.tensors.get(entry.name)!;
      const elementBytes = dtypeBytes[entry.dtype];
      const begin = await storageBegin(tensor.storage);
      if (isContiguous(tensor)) return source.read(begin + tensor.offset * elementBytes + byteOffset, byteLength, into);
      if (byteOffset % elementBytes !== 0 || byteLength % elementBytes !== 0) {
        throw new WeightsError(source.name, `${byteLength} bytes from ${byteOffset} of tensor ${shown(entry.name)} are not whole elements of ${elementBytes} bytes; ask for whole ones`);
      }
      const target = readTarget({ name: source.name, size: byteLength }, 0, byteLength, into);
      await gather(source, begin, tensor, byteOffset / elementBytes, byteLength / elementBytes, target);
      return target;
    },
    close: () => source.close(),
  };
  return checkpoint;
}

function describe(name: string, tensor: TensorRef): TensorEntry {
  const { dtype } = tensor.storage;
  return { name, dtype, shape: tensor.shape, byteLength: tensor.elements * dtypeBytes[dtype] };
}
