import type { Film } from "../data/film.ts";
import { InputError } from "../errors.ts";
import type { ExploreOptions } from "../grounding/exploration.ts";
import type { ResultRecord } from "../report/result_record.ts";
import type { Engine, PageExploration } from "./engine.ts";

/** Where `attnscope serve` grounds. */
const address = "api/ground";

/** Lets the server that sent the page ground; undefined where it does not: a host of static files. */
export async function openServerEngine(): Promise<Engine | undefined> {
  const response = await fetch(address).catch(() => undefined);
  if (response?.status !== 405 || response.headers.get("allow") !== "POST") return undefined;
  return { pipeline: { explore }, close: async () => undefined };
}

/** Sends the film's pixels, without what else its file held. Maps of other choices and of single words are not to be had. */
async function explore(film: Film, phrase: string, options: ExploreOptions = {}): Promise<PageExploration> {
  const { mapValues, ...record } = await request(film, phrase, options);
  const map = Float32Array.from(mapValues);
  const explored = { map, standardError: new Float32Array(map.length).fill(NaN), words: [], ssim: record.ssim, s: record.s };
  return {
    ...record.map,
    phrase: { phrase: record.phrase, choice: { words: record.words, note: record.note } },
    record,
    map: async () => explored,
    free: async () => undefined,
  };
}

async function request({ width, height, channels, data }: Film, phrase: string, options: ExploreOptions): Promise<ResultRecord & { mapValues: number[] }> {
  const { steps, lastSteps, seed, mode, tokens, signal } = options;
  const { encode } = await import("fast-png");
  const query = new URLSearchParams(Object.entries({ phrase, steps, lastSteps, seed, mode, tokens }).map(([name, value]) => [name, String(value)]));
  const body = encode({ width, height, channels, data }) as Uint8Array<ArrayBuffer>;
  const response = await fetch(`${address}?${query}`, { method: "POST", body, signal }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new InputError("the server", "cannot be reached; start attnscope serve again", { cause });
  });
  if (!response.ok) throw new InputError("the server", (await response.text()).trim());
  return response.json();
}
