// The worker's side: takes calls of the client (client.ts) and does them with the library.
import { decodeFilm, loadPipeline, openGpu } from "../browser.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Exploration } from "../grounding/exploration.ts";
import type { GroundProgress, GroundingPipeline } from "../grounding/pipeline.ts";
import type { FolderSource } from "../weights/byte_source.ts";
import type { CallEvent, Handle, SentSource, WorkerMethods } from "./methods.ts";
import { type Call, type Cancellation, type Reply, sendError } from "./protocol.ts";

/** How a running call is watched and stopped. */
interface CallContext {
  signal: AbortSignal;
  tell(event: CallEvent): (...data: unknown[]) => void;
}

type Host = { [M in keyof WorkerMethods]: (context: CallContext, ...args: Parameters<WorkerMethods[M]>) => Promise<ReturnType<WorkerMethods[M]>> };

/** Objects by number. */
function handles<T>() {
  const objects = new Map<Handle, T>();
  let next = 1;
  return {
    add(object: T): Handle {
      objects.set(next, object);
      return next++;
    },
    get(handle: Handle): T {
      const object = objects.get(handle);
      if (object === undefined) throw new TypeError("it was freed already");
      return object;
    },
    take(handle: Handle): T | undefined {
      const object = objects.get(handle);
      objects.delete(handle);
      return object;
    },
  };
}

/** Progress as it can be cloned: a pass may hand out its latent with it. */
const progressTo = ({ tell }: CallContext) => ({ stage, done, total }: GroundProgress) => tell("onProgress")({ stage, done, total });

const gpus = handles<Gpu>();
const pipelines = handles<GroundingPipeline>();
const explorations = handles<Exploration>();

const host: Host = {
  async openGpu(_, options) {
    const gpu = await openGpu(options);
    return { gpu: gpus.add(gpu), adapter: gpu.adapter, features: [...gpu.device.features] };
  },
  async memory(_, gpu) {
    return gpus.get(gpu).memory();
  },
  async closeGpu(_, gpu) {
    gpus.take(gpu)?.close();
  },
  async loadPipeline({ signal, tell }, gpu, source, { keep = true, ...options }) {
    const folder = await folderOf(source, keep, tell("onNote"));
    const pipeline = await loadPipeline(gpus.get(gpu), folder, { ...options, signal, onProgress: tell("onProgress") });
    const { name, sha256, dtype, vae, unet } = pipeline.ldm;
    return { pipeline: pipelines.add(pipeline), model: { name, sha256, dtype, imageSize: vae.config.sampleSize, layers: unet.crossAttentions.map((layer) => layer.name) } };
  },
  async freePipeline(_, pipeline) {
    pipelines.take(pipeline)?.free();
  },
  async groundMany(context, pipeline, requests, options) {
    const watched = { ...options, signal: context.signal, onProgress: progressTo(context), onPartial: context.tell("onPartial") };
    const results = await pipelines.get(pipeline).groundMany(requests, watched);
    return results.map(({ overlay: _, film: __, ...result }) => result);
  },
  async explore(context, pipeline, film, phrase, options) {
    const { explore } = await import("../models.ts");
    const watched = { ...options, signal: context.signal, onProgress: progressTo(context), onPartial: context.tell("onPartial") };
    const exploration = await explore(pipelines.get(pipeline), film, phrase, watched);
    const { map: _, free: __, ...facts } = exploration;
    return { ...facts, exploration: explorations.add(exploration) };
  },
  async exploredMap(_, exploration, choice) {
    return explorations.get(exploration).map(choice);
  },
  async freeExploration(_, exploration) {
    explorations.take(exploration)?.free();
  },
  async profile(context, pipeline, film, phrase, options) {
    const one = pipelines.get(pipeline);
    return one.ldm.gpu.profile(async () => {
      await one.ground(film, phrase, { ...options, signal: context.signal, onProgress: progressTo(context) });
    });
  },
  async decodeFilm(_, bytes, name) {
    return decodeFilm(bytes, name);
  },
};

async function folderOf(source: SentSource, keep: boolean, onNote: (note: string) => void): Promise<FolderSource> {
  const { cachedFolder, directoryFolder, fileFolder, openOpfsStore, openUrlFolder } = await import("../models.ts");
  if (source instanceof Map) return fileFolder("folder", source);
  if (typeof source !== "string") return directoryFolder(source as FileSystemDirectoryHandle);
  return cachedFolder(openUrlFolder(source), { openStore: keep ? openOpfsStore : undefined, onNote });
}

const running = new Map<number, AbortController>();

async function answer({ id, method, args }: Call): Promise<void> {
  const reply = (body: object) => postMessage({ id, ...body } as Reply);
  const controller = new AbortController();
  running.set(id, controller);
  const tell = (event: CallEvent) => (...data: unknown[]) => reply({ event, data });
  try {
    const run = host[method as keyof WorkerMethods] as (context: CallContext, ...args: readonly unknown[]) => Promise<unknown>;
    reply({ value: await run({ signal: controller.signal, tell }, ...args) });
  } catch (error) {
    reply({ error: sendError(error) });
  } finally {
    running.delete(id);
  }
}

addEventListener("message", ({ data }: MessageEvent<Call | Cancellation>) => {
  if ("cancelled" in data) running.get(data.id)?.abort();
  else void answer(data);
});
