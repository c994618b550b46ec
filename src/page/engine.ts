import { InputError } from "../errors.ts";
import { type LibraryWorker, type WorkerGpu, type WorkerPipeline, startWorker } from "../worker/client.ts";
import type { SentSource } from "../worker/methods.ts";

/** What a model's folder says of a model trained on synthetic films (`attnscope.json`). */
export interface SyntheticFilms {
  side: number;
  channels: 1 | 3;
  note: string;
}

/** A model that is ready, in the worker. */
export interface Engine {
  worker: LibraryWorker;
  gpu: WorkerGpu;
  pipeline: WorkerPipeline;
  source: SentSource;
  synthetic?: SyntheticFilms;
}

/** How far loading is. */
export interface Loading {
  part: string;
  bytes: number;
  total: number;
  /** Of all that was loaded since the beginning. */
  bytesPerSecond: number;
}

let worker: LibraryWorker | undefined;

/** The one worker of the page. */
export function theWorker(): LibraryWorker {
  worker ??= startWorker();
  return worker;
}

/** How loading is watched. */
interface LoadingWatch {
  onLoading(loading: Loading): void;
  /** Told what the visitor should know, such as that the model cannot be kept. */
  onNote(note: string): void;
}

/** Opens the device and loads a model. Throws the library's errors. */
export async function openEngine(source: SentSource, { onLoading, onNote }: LoadingWatch): Promise<Engine> {
  const own = theWorker();
  const gpu = await own.openGpu();
  const start = performance.now();
  let before = 0;
  let present = { part: "", bytes: 0 };
  try {
    const pipeline = await own.loadPipeline(gpu, source, {
      onNote,
      onProgress(part, bytes, total) {
        if (part !== present.part) before += present.bytes;
        present = { part, bytes };
        onLoading({ part, bytes, total, bytesPerSecond: ((before + bytes) * 1000) / (performance.now() - start) });
      },
    });
    return { worker: own, gpu, pipeline, source, synthetic: await readSyntheticFilms(source) };
  } catch (error) {
    await gpu.close();
    throw error;
  }
}

/** Reads a file of a model folder as text; undefined where it is not there. */
export async function readModelFile(source: SentSource, path: string): Promise<string | undefined> {
  if (typeof source === "string") {
    const response = await fetch(`${source.replace(/\/$/, "")}/${path}`).catch(() => undefined);
    return response?.ok ? response.text() : undefined;
  }
  if (source instanceof Map) return source.get(path)?.text();
  return undefined;
}

async function readSyntheticFilms(source: SentSource): Promise<SyntheticFilms | undefined> {
  const text = await readModelFile(source, "attnscope.json");
  return text === undefined ? undefined : (JSON.parse(text) as { syntheticFilms?: SyntheticFilms }).syntheticFilms;
}

/** The files that a visitor chose as a model's folder, by path inside of it. Throws InputError where they are none. */
export function modelFiles(files: Iterable<File>): Map<string, File> {
  const all = [...files].map((file) => [file.webkitRelativePath || file.name, file] as const);
  const index = all.map(([path]) => path).find((path) => /(^|\/)model_index\.json$/.test(path));
  if (index === undefined) throw new InputError("the folder", "has no model_index.json; choose the folder of a model in the diffusers layout");
  const root = index.slice(0, -"model_index.json".length);
  return new Map(all.filter(([path]) => path.startsWith(root)).map(([path, file]) => [path.slice(root.length), file]));
}
