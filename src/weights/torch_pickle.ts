import { WeightsError } from "../errors.ts";
import { elementCount, isSize, type CheckpointDType } from "./dtype.ts";
import { isGlobal, type PickleGlobal, type PickleObject, type PickleRecord, type PickleWorld } from "./pickle.ts";
import { shown } from "./shown.ts";

/** A typed block of bytes in a PyTorch file that tensors are views of. */
export interface StorageRef {
  readonly kind: "storage";
  readonly key: string;
  readonly dtype: CheckpointDType;
  /** Elements of the storage that the file holds under `key`. */
  readonly elements: number;
  /** First element of this storage where it is itself a view (files before PyTorch 0.4), and its length. */
  readonly viewOffset: number;
  readonly viewElements: number;
}

/** A tensor as PyTorch stores it: a strided view of a storage. Offset and strides count elements. */
export interface TensorRef {
  readonly kind: "tensor";
  readonly storage: StorageRef;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Product of the shape. */
  readonly elements: number;
}

const storageDTypes = new Map<string, CheckpointDType>([
  ["torch.DoubleStorage", "F64"], ["torch.FloatStorage", "F32"], ["torch.HalfStorage", "F16"], ["torch.BFloat16Storage", "BF16"],
  ["torch.LongStorage", "I64"], ["torch.IntStorage", "I32"], ["torch.ShortStorage", "I16"], ["torch.CharStorage", "I8"],
  ["torch.ByteStorage", "U8"], ["torch.BoolStorage", "BOOL"],
]);

/** Calls with a result: what builds tensors, and plain containers. */
const calls = new Map<string, (file: string, args: unknown[]) => unknown>([
  ["torch._utils._rebuild_tensor", (file, [storage, offset, shape, strides]) => makeTensor(file, storage, offset, shape, strides)],
  ["torch._utils._rebuild_tensor_v2", (file, [storage, offset, shape, strides]) => makeTensor(file, storage, offset, shape, strides)],
  ["torch._utils._rebuild_parameter", (_, [data]) => data],
  ["torch._utils._rebuild_parameter_with_state", (_, [data]) => data],
  ["torch.Size", (_, [sizes]) => sizes],
  ["collections.OrderedDict", (file, [pairs]) => makeDict(file, pairs)],
  ["collections.defaultdict", () => new Map()],
  ["builtins.set", (_, [values]) => values],
  ["__builtin__.set", (_, [values]) => values],
]);

/**
 * Classes that training frameworks leave beside the state dict: an object of one becomes a record without contents.
 * A path that ends in a dot stands for a whole package.
 */
const records = [
  "torch.nn.backends.thnn._get_thnn_function_backend", "argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "datetime.timedelta", "datetime.datetime",
  "collections.Counter", "_codecs.encode", "torch.device", "torch.torch_version.TorchVersion",
  "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
  "numpy._core.multiarray.scalar", "numpy._core.multiarray._reconstruct",
  "pytorch_lightning.", "lightning.", "lightning_fabric.", "omegaconf.",
];

/**
 * Classes of modules that are published whole, and not as a state dict, such as torchxrayvision's: the tensors in their
 * attributes are found, their code is not known. Paths that end in a dot stand for a package.
 */
const modules = ["torch.nn.modules.", "torchxrayvision.models."];

/** What the pickles of `torch.save` may call. @param file for messages */
export function torchWorld(file: string): PickleWorld {
  return {
    call(global, args) {
      if (!Array.isArray(args)) throw new WeightsError(file, `the pickle calls ${shown(global.path)} without a list of arguments; it is malformed`);
      const known = calls.get(global.path);
      if (known !== undefined) return known(file, args);
      if (isAmong(records, global.path)) return { kind: "record", path: global.path } satisfies PickleRecord;
      if (isAmong(modules, global.path)) return { kind: "object", path: global.path, attributes: new Map() } satisfies PickleObject;
      throw new WeightsError(file, `the pickle wants to call ${shown(global.path)}, which no state dict needs; nothing was run. `
        + "Do not trust this file; if it is your own, save it again with torch.save(model.state_dict(), …)");
    },
    persistent: (id) => moduleClass(id) ?? makeStorage(file, id),
  };
}

export function isTensorRef(value: unknown): value is TensorRef {
  return (value as TensorRef | null)?.kind === "tensor";
}

function isAmong(names: readonly string[], path: string): boolean {
  return names.some((name) => (name.endsWith(".") ? path.startsWith(name) : path === name));
}

/** The class of a persistent id ("module", class, file, source): so files before PyTorch 1.6 name a module's class, beside its code. */
function moduleClass(id: unknown): PickleGlobal | undefined {
  const [tag, type] = Array.isArray(id) ? id as unknown[] : [];
  return tag === "module" && isGlobal(type) ? type : undefined;
}

/** A persistent id is ("storage", type, key, device, elements), in the legacy format with the place of a view behind it. */
function makeStorage(file: string, id: unknown): StorageRef {
  const [tag, type, key, , elements, view] = Array.isArray(id) ? id as unknown[] : [];
  if (tag !== "storage" || !isGlobal(type) || typeof key !== "string" || !isSize(elements)) {
    throw new WeightsError(file, "the pickle describes a storage in a way that torch.save does not; it is malformed");
  }
  const dtype = storageDTypes.get(type.path);
  if (dtype === undefined) throw new WeightsError(file, `holds tensors of ${shown(type.path)}; convert them to float, half, bfloat16 or an integer type and save again`);
  if (view === undefined || view === null) return { kind: "storage", key, dtype, elements, viewOffset: 0, viewElements: elements };
  const [, viewOffset, viewElements] = Array.isArray(view) ? view as unknown[] : [];
  if (!isSize(viewOffset) || !isSize(viewElements) || viewOffset + viewElements > elements) {
    throw new WeightsError(file, `a view of storage ${shown(key)} reaches past its ${elements} elements; the file is malformed`);
  }
  return { kind: "storage", key, dtype, elements, viewOffset, viewElements };
}

function makeTensor(file: string, storage: unknown, offset: unknown, shape: unknown, strides: unknown): TensorRef {
  const elements = elementCount(shape);
  if (!isStorage(storage) || !isSize(offset) || elements === undefined || !isStrides(strides, shape as number[])) {
    throw new WeightsError(file, `a tensor has shape ${shown(shape)}, strides ${shown(strides)} and offset ${shown(offset)}; the file is malformed`);
  }
  const last = elements === 0 ? 0 : (shape as number[]).reduce((sum, size, axis) => sum + (size - 1) * strides[axis], offset + 1);
  if (last > storage.viewElements) {
    throw new WeightsError(file, `a tensor of shape ${shown(shape)}, strides ${shown(strides)} and offset ${offset} reaches past the ${storage.viewElements} elements of storage ${shown(storage.key)}; the file is malformed`);
  }
  if (elements > storage.viewElements) {
    throw new WeightsError(file, `a tensor of shape ${shown(shape)} repeats the ${storage.viewElements} elements of storage ${shown(storage.key)}; save it with .contiguous()`);
  }
  // Copies: the pickle could still change the lists that were checked.
  return { kind: "tensor", storage, offset: storage.viewOffset + offset, shape: [...shape as number[]], strides: [...strides], elements };
}

export function isStorage(value: unknown): value is StorageRef {
  return (value as StorageRef | null)?.kind === "storage";
}

function isStrides(strides: unknown, shape: readonly number[]): strides is number[] {
  return Array.isArray(strides) && strides.length === shape.length && strides.every(isSize);
}

function makeDict(file: string, pairs: unknown): Map<unknown, unknown> {
  if (pairs === undefined) return new Map();
  const isPairs = Array.isArray(pairs) && pairs.every((pair) => Array.isArray(pair) && pair.length === 2);
  if (!isPairs) throw new WeightsError(file, "an OrderedDict is built from what is no list of pairs; the file is malformed");
  const dict = new Map(pairs as [unknown, unknown][]);
  pairs.length = 0; // a list that a hostile file hands over a million times is copied once
  return dict;
}

