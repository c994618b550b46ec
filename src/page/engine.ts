import { InputError } from "../errors.ts";
import { type SyntheticFilms, readSyntheticFilms } from "../models/model_card.ts";
import type { ResultRecord } from "../report/result_record.ts";
import { type FolderSource, fileFolder, readJson } from "../weights/byte_source.ts";
import { directoryFolder } from "../weights/directory_source.ts";
import { openUrlFolder } from "../weights/http_source.ts";
import { type LibraryWorker, type WorkerExploration, type WorkerGpu, type WorkerPipeline, startWorker } from "../worker/client.ts";
import type { SentSource } from "../worker/methods.ts";
import { type SampleFilm, sampleFilms } from "./film.ts";

/** What the page needs of what was captured of a phrase in a film. */
export interface PageExploration extends Pick<WorkerExploration, "side" | "imageSize" | "map" | "free"> {
  readonly phrase: { phrase: string; choice: { words: readonly { text: string; kept: boolean; why: string }[]; note?: string } };
  /** All that the server tells, where it computed. */
  readonly record?: ResultRecord;
}

/** A model that is ready: in the worker, or on the server. */
export interface Engine {
  /** The browser's device; absent where the server computes. */
  gpu?: WorkerGpu;
  /** The server's does not tell beforehand which model it has, and takes no times. */
  pipeline: Partial<Pick<WorkerPipeline, "model" | "profile">> & { explore(...inputs: Parameters<WorkerPipeline["explore"]>): Promise<PageExploration> };
  synthetic?: SyntheticFilms;
  /** Films that come with a model of a server. */
  samples?: SampleFilm[];
  /** Gives the model and the device back. Never fails. */
  close(): Promise<void>;
}

/** How far loading is. */
export interface Loading {
  part: string;
  bytes: number;
  total: number;
  /** Of all that was loaded since the beginning. */
  bytesPerSecond: number;
}

let started: LibraryWorker | undefined;

/** The one worker of the page; another one where that failed. */
export function theWorker(): LibraryWorker {
  if (!started || started.failure) started = startWorker();
  return started;
}

/** How loading is watched and stopped. */
export interface LoadingWatch {
  signal: AbortSignal;
  onLoading(loading: Loading): void;
  /** Told in sentences what the visitor should know, such as that the model cannot be kept. */
  onNote(note: string): void;
}

/** Opens the device and loads a model. Throws the library's errors, and the signal's reason. */
export async function openEngine(worker: LibraryWorker, source: SentSource, { signal, onLoading, onNote }: LoadingWatch): Promise<Engine> {
  const gpu = await worker.openGpu();
  try {
    const onProgress = withSpeed(onLoading);
    const pipeline = await worker.loadPipeline(gpu, source, { signal, onProgress, onNote: (note) => onNote(`${note}.`) });
    const close = async () => void (await Promise.allSettled([pipeline.free(), gpu.close()]));
    return { gpu, pipeline, close, ...(await readExtras(source, onNote)) };
  } catch (error) {
    await gpu.close();
    throw error;
  }
}

/** Takes the progress of parts, one after another, and tells it with the speed of all. */
function withSpeed(onLoading: LoadingWatch["onLoading"]): (part: string, bytes: number, total: number) => void {
  const start = performance.now();
  let before = 0;
  let present = { part: "", bytes: 0 };
  return (part, bytes, total) => {
    if (part !== present.part) before += present.bytes;
    present = { part, bytes };
    onLoading({ part, bytes, total, bytesPerSecond: ((before + bytes) * 1000) / (performance.now() - start) });
  };
}

/** What a model's folder may hold besides the model. What cannot be read is left out, and the visitor told of it. */
export async function readExtras(source: SentSource, onNote: LoadingWatch["onNote"]): Promise<Pick<Engine, "synthetic" | "samples">> {
  const folder = folderOf(source);
  const orNote = <T>(note: string, reading: Promise<T>) => reading.catch((error: Error) => {
    onNote(`${note}: ${error.message}.`);
    return undefined;
  });
  return {
    synthetic: await orNote("Which films this model was trained on is not known, and its maps of others may mean nothing", readSyntheticFilms(folder)),
    samples: typeof source === "string" ? await orNote("The model's sample films cannot be shown", readSamples(source, folder)) : undefined,
  };
}

async function readSamples(address: string, folder: FolderSource): Promise<SampleFilm[] | undefined> {
  const path = "samples/films.json";
  return (await folder.has(path)) ? sampleFilms(address, await readJson(folder, path)) : undefined;
}

function folderOf(source: SentSource): FolderSource {
  if (typeof source === "string") return openUrlFolder(new URL(source, globalThis.document?.baseURI).href);
  return source instanceof Map ? fileFolder("folder", source) : directoryFolder(source as FileSystemDirectoryHandle);
}

/** The files that a visitor chose as a model's folder, by path inside of it. Throws InputError where they are none. */
export function modelFiles(files: Iterable<File>): Map<string, File> {
  const all = [...files].map((file) => [file.webkitRelativePath || file.name, file] as const);
  const index = all.map(([path]) => path).find((path) => /(^|\/)model_index\.json$/.test(path));
  if (index === undefined) throw new InputError("the folder", "has no model_index.json; choose the folder of a model in the diffusers layout");
  const root = index.slice(0, -"model_index.json".length);
  return new Map(all.filter(([path]) => path.startsWith(root)).map(([path, file]) => [path.slice(root.length), file]));
}
