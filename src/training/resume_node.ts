import type { OptimizerState } from "../ops/optim.ts";
import { optimizerStateOf } from "../ops/optim.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import { type Checkpoint, readTensor } from "../weights/checkpoint.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";
import { OPTIMIZER_FILE, emaFolder } from "./checkpoint.ts";
import type { PartPlace, PartSources } from "./trained_part.ts";

/** What a run goes on from. */
export interface ResumeSources {
  /** By the folder of the part. */
  readonly parts: ReadonlyMap<string, PartSources>;
  /** As the checkpoint's last step left it. */
  readonly state: OptimizerState;
  /** Closes the files; the parts must have been made. */
  close(): Promise<void>;
}

/** Opens the files of a checkpoint that `findLatestCheckpoint` found whole. */
export async function resumeSources(checkpointFolder: string, places: readonly PartPlace[]): Promise<ResumeSources> {
  const folder = openFolder(checkpointFolder);
  const opened: Checkpoint[] = [];
  const open = async (path: string) => {
    const checkpoint = await openCheckpoint(folder, path);
    opened.push(checkpoint);
    return checkpoint;
  };
  const close = async () => {
    for (const checkpoint of opened) await checkpoint.close();
  };
  try {
    const moments = await open(OPTIMIZER_FILE);
    const parts = new Map<string, PartSources>();
    for (const { folder: name, weightsFile } of places) {
      const ema = `${emaFolder(name)}/${weightsFile}`;
      parts.set(name, { moments, weights: await open(`${name}/${weightsFile}`), ema: (await folder.has(ema)) ? await open(ema) : undefined });
    }
    return { parts, state: await readState(moments), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readState(moments: Checkpoint): Promise<OptimizerState> {
  const entry = moments.tensors.get("state");
  if (!entry) throw new TypeError(`${moments.name} has no state`);
  const bytes = await readTensor(moments, entry);
  return optimizerStateOf(new Float32Array(bytes.slice().buffer));
}
