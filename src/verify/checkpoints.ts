import { WeightsError } from "../errors.ts";
import { type Checkpoint, readTensor } from "../weights/checkpoint.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";
import type { Golden, VerifyContext } from "./context.ts";
import type { Part } from "./parts.ts";

const directory = "checkpoints";
/** Files that must be refused, by what their names say of them. */
const broken = /^(bad|evil|truncated|not_a)/;
/** Files that have the tensors of expected.safetensors. */
const complete = /^plain\./;

/** Archives that must load, and malformed or hostile ones that must be refused with an error that names the file. */
export const checkpointsGolden: Golden = {
  name: "checkpoints",
  paths: [`${directory}/expected.safetensors`],
  async run(context, path) {
    const expected = await readAll(context, path);
    const parts: Part[] = [];
    for (const file of await context.list(directory)) {
      parts.push(broken.test(file) ? await refusedPart(context, file) : await loadedPart(context, file, expected));
    }
    return parts;
  },
};

/** Bytes of all tensors, by name. */
async function readAll({ folder }: VerifyContext, path: string): Promise<Map<string, string>> {
  const checkpoint: Checkpoint = await openCheckpoint(folder, path);
  try {
    const tensors = new Map<string, string>();
    for (const [name, entry] of checkpoint.tensors) tensors.set(name, `${entry.dtype} [${entry.shape}] ${await readTensor(checkpoint, entry)}`);
    return tensors;
  } finally {
    await checkpoint.close();
  }
}

async function refusedPart(context: VerifyContext, file: string): Promise<Part> {
  const name = `${file} refused`;
  try {
    await readAll(context, `${directory}/${file}`);
    return { name, error: 1, bound: 0, note: "it was read without an error" };
  } catch (error) {
    const clear = error instanceof WeightsError && error.message.includes(file);
    return { name, error: Number(!clear), bound: 0, note: (error as Error).message };
  }
}

async function loadedPart(context: VerifyContext, file: string, expected: ReadonlyMap<string, string>): Promise<Part> {
  const name = complete.test(file) ? `${file} is expected.safetensors` : `${file} loads`;
  try {
    const tensors = await readAll(context, `${directory}/${file}`);
    if (!complete.test(file)) return { name, error: Number(tensors.size === 0), bound: 0 };
    const names = new Set([...tensors.keys(), ...expected.keys()]);
    return { name, error: [...names].filter((key) => tensors.get(key) !== expected.get(key)).length, bound: 0 };
  } catch (error) {
    return { name, error: 1, bound: 0, note: (error as Error).message };
  }
}
