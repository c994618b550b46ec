import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError } from "../errors.ts";
import { writeSafetensorsFile } from "../weights/atomic_file_node.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import { convertedTensors, type ConvertOptions } from "../weights/convert.ts";
import { componentFolders, hubAddress } from "../weights/hub.ts";
import { pullRepository, type PullOptions } from "../weights/hub_node.ts";
import { formatBytes, formatSummary, inspectCheckpoint, type CheckpointSummary } from "../weights/inspect.ts";
import { openCheckpoint, weightsPath } from "../weights/open_checkpoint.ts";
import { shown } from "../weights/shown.ts";
import { cacheFolder } from "../cache_folder_node.ts";

/** What a command says: one object for `--json`, lines for people. */
export interface CommandOutput {
  readonly json: object;
  readonly text: string;
}

/**
 * `weights inspect PATH`: a checkpoint, or every checkpoint of a model folder.
 * @param stateDict key of the state dict in a PyTorch file that has several
 * @throws WeightsError where one is broken
 */
export async function inspectWeights(path: string, options: { stateDict?: string } = {}): Promise<CommandOutput> {
  const summaries: CheckpointSummary[] = [];
  for (const file of await checkpointPaths(path)) {
    const checkpoint = await openCheckpoint(openFolder(dirname(file)), basename(file), options);
    summaries.push(inspectCheckpoint(checkpoint));
    await checkpoint.close();
  }
  return { json: { checkpoints: summaries }, text: summaries.map(formatSummary).join("\n\n") };
}

/** Options of `weights convert` as they are typed. */
export interface ConvertCommandOptions extends Omit<ConvertOptions, "dtype"> {
  /** `f32`, `f16` or `bf16`. */
  readonly dtype?: string;
  readonly stateDict?: string;
}

/**
 * `weights convert INPUT OUTPUT`: any checkpoint to one safetensors file.
 * @throws WeightsError on the input, InputError on options or an output that cannot be written
 */
export async function convertWeights(input: string, output: string, options: ConvertCommandOptions = {}): Promise<CommandOutput> {
  if (!output.endsWith(".safetensors")) throw new InputError(output, "only safetensors can be written; end the name in .safetensors");
  const dtype = parseDtype(options.dtype);
  const checkpoint = await openCheckpoint(openFolder(dirname(input)), basename(input), options);
  try {
    const tensors = convertedTensors(checkpoint, { ...options, dtype });
    const metadata = checkpoint.format === "safetensors" ? checkpoint.metadata : {};
    await writeSafetensorsFile(output, tensors, { format: "pt", ...metadata });
    const { size: bytes } = await stat(output);
    return {
      json: { input, output, stateDict: checkpoint.stateDict, tensors: tensors.length, bytes },
      text: `${output}: ${tensors.length} tensors, ${formatBytes(bytes)}`,
    };
  } finally {
    await checkpoint.close();
  }
}

/** Options of `weights pull`. */
export interface PullCommandOptions extends Omit<PullOptions, "token"> {
  readonly endpoint?: string;
  readonly revision?: string;
  /** Cache folder; `attnscope` in the user's cache where it is absent. */
  readonly cache?: string;
}

/**
 * `weights pull REPOSITORY`: fetches a model into the cache folder.
 * @param environment HF_ENDPOINT stands in for `--endpoint`; HF_TOKEN is sent to the hub; XDG_CACHE_HOME is the user's cache
 * @throws InputError, WeightsError
 */
export async function pullWeights(repository: string, options: PullCommandOptions, environment: NodeJS.ProcessEnv): Promise<CommandOutput> {
  const address = hubAddress(options.endpoint ?? environment.HF_ENDPOINT, repository, options.revision);
  const cache = options.cache ?? cacheFolder(environment);
  const result = await pullRepository(address, cache, { ...options, token: environment.HF_TOKEN });
  const lines = result.files.map(({ path, bytes, downloaded }) => `${downloaded ? "fetched" : "present"}  ${path}  ${formatBytes(bytes)}`);
  return { json: result, text: [...lines, result.folder].join("\n") };
}

async function checkpointPaths(path: string): Promise<string[]> {
  const isFolder = await stat(path).then((stats) => stats.isDirectory(), () => false);
  if (!isFolder) return [path];
  const folder = openFolder(path);
  const paths: string[] = [];
  for (const directory of ["", ...componentFolders]) {
    const file = await weightsPath(folder, directory);
    if (file !== undefined) paths.push(join(path, file));
  }
  if (paths.length === 0) throw new InputError(path, "is a folder without weights of the diffusers layout; name a checkpoint or a model folder");
  return paths;
}

function parseDtype(dtype: string | undefined): ConvertOptions["dtype"] {
  if (dtype === undefined) return undefined;
  const known = { f32: "F32", f16: "F16", bf16: "BF16" } as const;
  if (!Object.hasOwn(known, dtype)) throw new InputError("--dtype", `${shown(dtype)} is not one of f32, f16, bf16`);
  return known[dtype as keyof typeof known];
}
