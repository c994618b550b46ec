import { InputError, TrainingError } from "../errors.ts";
import type { Parameter } from "../models/parameters.ts";
import { firstDifference } from "../runs/first_difference.ts";
import type { Tensor } from "../tensor.ts";
import type { TensorOutput } from "../weights/safetensors_writer.ts";
import type { Recipe } from "./recipe.ts";
import type { ParameterSet, TrainedPart } from "./trained_part.ts";

/** A file of a checkpoint: tensors, or text. */
export interface CheckpointFile {
  /** Path within the checkpoint's folder. */
  readonly path: string;
  /** Tensors become a safetensors file; text is written as UTF-8. */
  readonly content: readonly TensorOutput[] | string;
}

/** What a run is about, as plain JSON: two runs with the same are the same run. */
export type Configuration = Readonly<Record<string, unknown>>;

/** The file of moments and the optimiser's state. */
export const OPTIMIZER_FILE = "optimizer.safetensors";

/** Folder of a part's moving average: `unet_ema` beside `unet`. */
export function emaFolder(folder: string): string {
  return `${folder}_ema`;
}

/** The files of a run's parts in the diffusers layout, and of its optimiser. Tensors are read back as they are written. */
export function checkpointFiles(parts: readonly TrainedPart[], state: Tensor): CheckpointFile[] {
  const files = parts.flatMap((part) => [...partFiles(part, part.folder, part.weights), ...(part.ema ? partFiles(part, emaFolder(part.folder), part.ema) : [])]);
  const moments = parts.flatMap(({ folder, means, squares }) => [...parameterOutputs(means, `mean.${folder}.`), ...parameterOutputs(squares, `square.${folder}.`)]);
  const stateOutput: TensorOutput = { name: "state", dtype: "F32", shape: state.shape, chunks: () => pieces(() => state.read()) };
  return [...files, { path: OPTIMIZER_FILE, content: [...moments, stateOutput] }];
}

function partFiles({ weightsFile, keyPrefix, config, others = [] }: TrainedPart, folder: string, set: ParameterSet): CheckpointFile[] {
  const weights = { path: `${folder}/${weightsFile}`, content: [...parameterOutputs(set, keyPrefix), ...others] };
  return config === undefined ? [weights] : [{ path: `${folder}/config.json`, content: config }, weights];
}

/**
 * Parameters as f32 tensors of a file, in PyTorch's order of elements. Reading one that holds values that are not finite
 * throws TrainingError: a checkpoint of it would take the place of a good one.
 */
export function parameterOutputs(set: ParameterSet, keyPrefix: string): TensorOutput[] {
  return [...set.values()].map((parameter) => ({
    name: keyPrefix + parameter.name,
    dtype: "F32" as const,
    shape: parameter.shape,
    chunks: () => pieces(async () => {
      const values = await parameter.tensor.read();
      if (!values.every(Number.isFinite)) throw new TrainingError(`training: ${keyPrefix}${parameter.name} is no longer finite; nothing was saved, the last checkpoint is kept`);
      return pytorchOrder(parameter, values);
    }),
  }));
}

async function* pieces(values: () => Promise<Float32Array>): AsyncGenerator<Uint8Array> {
  const { buffer, byteOffset, byteLength } = await values();
  yield new Uint8Array(buffer, byteOffset, byteLength);
}

/** Elements that lie on the device as `packing` says, in the checkpoint's order: the inverse of kernels/load/unpack.wgsl. */
export function pytorchOrder({ packing, shape, size }: Pick<Parameter, "packing" | "shape" | "size">, packed: Float32Array): Float32Array {
  if (packing === "plain" || packing === "table") return packed;
  const [outputs, inputs] = shape;
  const taps = size / (outputs * inputs);
  const values = new Float32Array(size);
  let next = 0;
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      for (let tap = 0; tap < taps; tap++) values[next++] = packed[(tap * inputs + input) * outputs + output];
    }
  }
  return values;
}

/**
 * Throws InputError naming the first difference between a checkpoint's configuration and a run's. A run at a constant
 * rate may end later than it was to.
 */
export function checkSameConfiguration(checkpoint: string, stored: Configuration, wanted: Configuration): void {
  const difference = firstDifference(identity(stored), identity(wanted), "");
  if (!difference) return;
  const hint = difference.startsWith("recipe.maxSteps ") ? " (the cosine ends there: only a run with --schedule constant can be made longer)" : "";
  throw new InputError(checkpoint, `is of another run: ${difference}${hint}; give the same options, or another --out`);
}

/** What a configuration must have in common with another to be of the same run, as JSON. */
function identity(configuration: Configuration): Configuration {
  const { recipe, ...others } = JSON.parse(JSON.stringify(configuration)) as { recipe?: Partial<Recipe> };
  return { recipe: recipe && { ...recipe, maxSteps: recipe.schedule === "constant" ? undefined : recipe.maxSteps }, ...others };
}
