import { createHash } from "node:crypto";
import { InvalidArgumentError } from "commander";
import { decodeFilm } from "../data/decode_node.ts";
import { DeviceLostError, InputError } from "../errors.ts";
import { type GroundSettings, completeSettings } from "../grounding/options.ts";
import { resultRecord } from "../report/result_record.ts";
import { type RunOptions, layerList } from "./ground_options.ts";
import { warningsOf } from "./ground_run.ts";
import { type Session, openSession } from "./ground_session.ts";
import { number } from "./numbers.ts";
import { version } from "./package.ts";

/** Grounds the images of requests with one model, which is loaded with the first. */
export interface GroundService {
  /** The result's record and map. @throws InputError for an image, a phrase or settings that cannot be used */
  ground(image: Uint8Array, query: URLSearchParams, signal: AbortSignal): Promise<object>;
  close(): Promise<void>;
}

export function createGroundService(options: RunOptions): GroundService {
  let session: Promise<Session> | undefined;
  const close = async () => {
    const open = await session?.catch(() => undefined);
    session = undefined;
    open?.close();
  };
  return {
    close,
    async ground(image, query, signal) {
      const phrase = query.get("phrase")?.trim();
      if (!phrase) throw new InputError("phrase", "is empty; say what to look for");
      const settings = settingsOf(query);
      const film = await decodeFilm(image, "image");
      // A model that could not be loaded is tried again; loading goes on for the requests behind this one.
      session ??= openSession(options, new AbortController().signal).catch((error: unknown) => {
        session = undefined;
        throw error;
      });
      try {
        const open = await session;
        const { pipeline } = open;
        const { gpu } = pipeline.ldm;
        gpu.resetPeak();
        const result = await pipeline.ground(film, phrase, { ...settings, signal });
        const record = resultRecord(result, {
          version,
          ldm: pipeline.ldm,
          imageName: film.name,
          imageSha256: createHash("sha256").update(image).digest("hex"),
          warnings: warningsOf({ film }, open),
          boxes: [],
          results: 1,
          gpuBytesPeak: gpu.memory().peakHeld,
        });
        return { ...record, mapValues: [...result.map] };
      } catch (error) {
        if (error instanceof DeviceLostError) await close(); // it does not come back: the next request opens another
        throw error;
      }
    },
  };
}

/** The settings of a query. @throws InputError naming one that cannot be used */
function settingsOf(query: URLSearchParams): GroundSettings {
  const text = (name: string) => query.get(name) ?? undefined;
  return completeSettings(
    {
      mode: text("mode") as GroundSettings["mode"],
      tokens: text("tokens") as GroundSettings["tokens"],
      merge: text("merge") as GroundSettings["merge"],
      reading: text("reading") as GroundSettings["reading"],
      label: text("label"),
      steps: parsed(query, "steps", number),
      lastSteps: parsed(query, "lastSteps", number),
      guidance: parsed(query, "guidance", number),
      seed: parsed(query, "seed", number),
      layers: parsed(query, "layers", layerList),
    },
    Infinity,
  );
}

/** A setting as the command line reads it; undefined where it is not given. @throws InputError */
function parsed<T>(query: URLSearchParams, name: string, parse: (text: string) => T): T | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InputError(name, `${JSON.stringify(text)} cannot be used. ${error.message}`, { cause: error });
  }
}
