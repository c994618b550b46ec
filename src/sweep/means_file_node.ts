import { InputError } from "../errors.ts";
import { writeSafetensorsFile } from "../weights/atomic_file_node.ts";
import { openFile } from "../weights/byte_source_node.ts";
import { readTensor } from "../weights/checkpoint.ts";
import { openSafetensors } from "../weights/safetensors.ts";
import type { TargetMeans } from "./layer_means.ts";

/** What a means file tells besides the means: any JSON. */
export type MeansFacts = Readonly<Record<string, unknown>>;

/** Writes the means of one pair of film and phrase: a safetensors file, f32 [sets, side, side] a layer. @throws InputError where it cannot be written */
export async function writeMeansFile(path: string, { layers, ...shape }: TargetMeans, facts: MeansFacts): Promise<void> {
  const tensors = layers.map(({ name, side, values }) => ({
    name,
    dtype: "F32" as const,
    shape: [values.length / side ** 2, side, side],
    chunks: () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
  }));
  await writeSafetensorsFile(path, tensors, { means: JSON.stringify({ ...shape, layers: layers.map(({ name, side }) => ({ name, side })) }), facts: JSON.stringify(facts) });
}

/** Reads such a file. @throws WeightsError where it cannot be read, InputError where it is something else */
export async function readMeansFile(path: string): Promise<{ means: TargetMeans; facts: MeansFacts }> {
  const file = await openSafetensors(await openFile(path));
  try {
    const { means, facts } = file.metadata;
    if (!means || !facts) throw new InputError(path, "holds no means of a sweep; remove it, and sweep again");
    const { layers, ...shape } = JSON.parse(means) as TargetMeans;
    const read: TargetMeans["layers"][number][] = [];
    for (const { name, side } of layers) {
      const entry = file.tensors.get(name);
      if (!entry) throw new InputError(path, `lacks ${name}; remove it, and sweep again`);
      read.push({ name, side, values: new Float32Array(new Uint8Array(await readTensor(file, entry)).buffer) });
    }
    return { means: { ...shape, layers: read }, facts: JSON.parse(facts) as MeansFacts };
  } finally {
    await file.close();
  }
}
