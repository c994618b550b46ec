import { WeightsError } from "../errors.ts";
import { isObject, type PickleObject } from "./pickle.ts";
import { shown } from "./shown.ts";
import { isTensorRef, type TensorRef } from "./torch_pickle.ts";

/** The state dict within the object that a PyTorch file holds. */
export interface StateDict {
  /** Key of the root dict that holds it; "" where it is the root itself. */
  readonly key: string;
  readonly tensors: ReadonlyMap<string, TensorRef>;
  /** Numbers, strings and truth values of the root dict, as text. */
  readonly metadata: Record<string, string>;
}

/** Keys under which trainers keep the state dict of the model, most usual first. */
const usualKeys = ["state_dict", "model_state_dict", "model"];

/**
 * Finds the state dict: under `wanted` where it is given, under a usual key (Lightning's `state_dict`), in the root,
 * or in the only dict of the root that has tensors.
 * @throws WeightsError where there is none, or several and none of them usual
 */
export function findStateDict(file: string, root: unknown, wanted?: string): StateDict {
  if (isObject(root)) return { key: "", tensors: tensorsOfModule(file, root), metadata: {} };
  if (!(root instanceof Map)) throw new WeightsError(file, `holds ${describe(root)} and not a state dict; save it with torch.save(model.state_dict(), …)`);
  const key = wanted ?? chooseKey(file, root);
  const dict = key === "" ? root : root.get(key);
  if (!hasTensors(dict)) throw new WeightsError(file, `has no state dict under ${shown(key)}; its keys are ${shown([...root.keys()])}`);
  const tensors = new Map<string, TensorRef>();
  for (const [name, value] of dict) {
    if (isTensorRef(value) && typeof name === "string") tensors.set(name, value);
  }
  return { key, tensors, metadata: plainValues(root) };
}

/** Attributes that are looked at, those of a module that is reached on several ways as often: a DenseNet-121 has two thousand. */
const MAX_ATTRIBUTES = 1_000_000;

/** The state dict of a module that was saved whole: its parameters and buffers and those of the modules in it, by dotted names. */
function tensorsOfModule(file: string, root: PickleObject): Map<string, TensorRef> {
  const tensors = new Map<string, TensorRef>();
  const modules = [{ module: root, prefix: "" }];
  let looked = 0;
  for (const { module: { attributes }, prefix } of modules) {
    for (const kind of ["_parameters", "_buffers", "_modules"]) {
      const dict = attributes.get(kind);
      if (!(dict instanceof Map)) continue;
      looked += dict.size;
      if (looked > MAX_ATTRIBUTES) throw new WeightsError(file, `its modules have more than ${MAX_ATTRIBUTES} attributes, as if they held each other; the file is malformed`);
      for (const [name, value] of dict) {
        if (isTensorRef(value)) tensors.set(`${prefix}${name}`, value);
        else if (isObject(value)) modules.push({ module: value, prefix: `${prefix}${name}.` });
      }
    }
  }
  if (tensors.size === 0) throw new WeightsError(file, `holds a module (${shown(root.path)}) without tensors; save it with torch.save(model.state_dict(), …)`);
  return tensors;
}

function chooseKey(file: string, root: ReadonlyMap<unknown, unknown>): string {
  const usual = usualKeys.find((key) => hasTensors(root.get(key)));
  if (usual !== undefined) return usual;
  if (hasTensors(root)) return "";
  // Each dict is looked into once, however many keys lead to it.
  const dicts = new Set([...new Set(root.values())].filter(hasTensors));
  const candidates = [...root.keys()].filter((key): key is string => typeof key === "string" && dicts.has(root.get(key) as Map<unknown, unknown>));
  if (candidates.length === 1) return candidates[0];
  const fact = candidates.length === 0
    ? `has no tensors; its keys are ${shown([...root.keys()])}`
    : `has the state dicts ${shown(candidates)}; say which with --state-dict`;
  throw new WeightsError(file, fact);
}

function hasTensors(value: unknown): value is Map<unknown, unknown> {
  if (!(value instanceof Map)) return false;
  for (const [key, item] of value) if (typeof key === "string" && isTensorRef(item)) return true;
  return false;
}

function plainValues(root: ReadonlyMap<unknown, unknown>): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [key, value] of root) {
    if (typeof key === "string" && ["string", "number", "bigint", "boolean"].includes(typeof value)) metadata[key] = String(value);
  }
  return metadata;
}

function describe(root: unknown): string {
  if (isTensorRef(root)) return "a single tensor";
  if (Array.isArray(root)) return "a list";
  return `a value of type ${root === null ? "None" : typeof root}`;
}
