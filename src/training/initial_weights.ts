import { createRandom } from "../random.ts";
import type { Parameter } from "../models/parameters.ts";
import { sizeOf } from "../tensor.ts";
import type { TensorEntry, TensorSource } from "../weights/checkpoint.ts";
import type { ParameterSet } from "./trained_part.ts";

/** Initial values of one parameter, in PyTorch's order. */
export type InitialValues = (parameter: Parameter, random: () => number) => Float32Array;

/**
 * PyTorch's default start of every layer, from a seed, as if it stood in a file: linear and convolution weights and
 * biases uniform in +-1/sqrt(fan in), norms 1 and 0, tables normal. `special`: values of its own for some parameters.
 */
export function initialWeights(parameters: ParameterSet, seed: number, special: (parameter: Parameter) => InitialValues | undefined = () => undefined): TensorSource {
  const tensors = new Map<string, TensorEntry>();
  for (const [name, { shape }] of parameters) tensors.set(name, { name, dtype: "F32", shape, byteLength: 4 * sizeOf(shape) });
  let latest: { name: string; bytes: Uint8Array } | undefined;
  return {
    name: "initial weights",
    tensors,
    async read(entry, byteOffset, byteLength, into = new Uint8Array(byteLength)) {
      if (latest?.name !== entry.name) {
        const parameter = parameters.get(entry.name) as Parameter;
        const values = (special(parameter) ?? defaultValues(parameters))(parameter, generatorOf(seed, entry.name));
        latest = { name: entry.name, bytes: new Uint8Array(values.buffer) };
      }
      into.set(latest.bytes.subarray(byteOffset, byteOffset + byteLength));
      return into.subarray(0, byteLength);
    },
  };
}

function defaultValues(parameters: ParameterSet): InitialValues {
  return (parameter, random) => {
    const { name, shape, packing, size } = parameter;
    if (packing === "table") return normalValues(1)(parameter, random);
    // A bias starts by the fan in of the weight beside it.
    const weight = name.endsWith("bias") ? (parameters.get(name.replace(/bias$/, "weight"))?.shape ?? shape) : shape;
    if (weight.length === 1) return new Float32Array(size).fill(name.endsWith("bias") ? 0 : 1);
    const bound = 1 / Math.sqrt(sizeOf(weight.slice(1)));
    return Float32Array.from({ length: size }, () => bound * (2 * random() - 1));
  };
}

/** Normal values of this standard deviation (Box and Muller). */
export function normalValues(deviation: number): InitialValues {
  return ({ size }, random) => Float32Array.from({ length: size }, () => deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
}

/** Zeros. */
export const zeroValues: InitialValues = ({ size }) => new Float32Array(size);

/** Factors start as peft's do for diffusers: down normal with deviation 1 / rank, up zero, so that nothing changes at first. */
export function loraInitialValues({ name, shape }: Parameter): InitialValues {
  return name.endsWith("lora.up.weight") ? zeroValues : normalValues(1 / shape[0]);
}

/** Numbers in [0, 1) of a parameter of its own: they do not depend on what other parameters there are. */
function generatorOf(seed: number, name: string): () => number {
  const random = createRandom(seed, ...new TextEncoder().encode(name));
  return () => random.uniform(0, 1);
}
