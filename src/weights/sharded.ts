import { WeightsError } from "../errors.ts";
import { readJson, type FolderSource } from "./byte_source.ts";
import { checkTensorRange, type Checkpoint, type TensorEntry } from "./checkpoint.ts";
import { shown } from "./shown.ts";

/**
 * Opens a checkpoint whose tensors are spread over several files, by its index (`*.safetensors.index.json`, `*.bin.index.json`):
 * `weight_map` says which file has which tensor. Only the shards' headers are read here.
 * @param openShard opens one file of the folder
 * @throws WeightsError where a shard is missing, or index and shards disagree
 */
export async function openSharded(folder: FolderSource, indexPath: string, openShard: (path: string) => Promise<Checkpoint>): Promise<Checkpoint> {
  const name = `${folder.name}/${indexPath}`;
  const { weightMap, metadata } = parseIndex(name, await readJson(folder, indexPath));
  const directory = indexPath.slice(0, indexPath.lastIndexOf("/") + 1);
  const shards = new Map<string, Checkpoint>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    for (const file of new Set(weightMap.values())) {
      if (!await folder.has(directory + file)) throw new WeightsError(name, `the shard ${file} is missing; put it beside the index`);
      shards.set(file, await openShard(directory + file));
    }
    return joinShards(name, weightMap, shards, metadata, close);
  } catch (error) {
    await close();
    throw error;
  }
}

function joinShards(name: string, weightMap: ReadonlyMap<string, string>, shards: ReadonlyMap<string, Checkpoint>,
  metadata: Record<string, string>, close: () => Promise<void>): Checkpoint {
  const tensors = new Map<string, TensorEntry>();
  for (const [tensor, file] of weightMap) {
    const entry = shards.get(file)!.tensors.get(tensor);
    if (entry === undefined) throw new WeightsError(name, `the shard ${file} lacks ${shown(tensor)}, which the index places there; get both again`);
    tensors.set(tensor, entry);
  }
  for (const [file, shard] of shards) {
    for (const tensor of shard.tensors.keys()) {
      if (weightMap.get(tensor) !== file) throw new WeightsError(name, `the shard ${file} has ${shown(tensor)}, which the index does not place there; get both again`);
    }
  }
  const checkpoint: Checkpoint = {
    name,
    format: "sharded",
    stateDict: "",
    tensors,
    metadata,
    async read(entry, byteOffset, byteLength, into) {
      checkTensorRange(checkpoint, entry, byteOffset, byteLength);
      return shards.get(weightMap.get(entry.name)!)!.read(entry, byteOffset, byteLength, into);
    },
    close,
  };
  return checkpoint;
}

function parseIndex(name: string, index: unknown): { weightMap: Map<string, string>; metadata: Record<string, string> } {
  const { weight_map: map, metadata } = (index ?? {}) as { weight_map?: unknown; metadata?: unknown };
  if (typeof map !== "object" || map === null) throw new WeightsError(name, "has no weight_map; it is not the index of a sharded checkpoint");
  const weightMap = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    // A plain file name: an index must not reach out of its folder.
    if (typeof file !== "string" || !/^[^/\\]*[^/\\.][^/\\]*$/.test(file)) {
      throw new WeightsError(name, `places ${shown(tensor)} in ${shown(file)}, which is not the name of a file beside it; the index is malformed`);
    }
    weightMap.set(tensor, file);
  }
  const facts = Object.entries(metadata ?? {}).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]);
  return { weightMap, metadata: Object.fromEntries(facts) };
}
