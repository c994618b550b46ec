import { automaticBatch } from "../grounding/batch.ts";
import type { GroundSettings } from "../grounding/options.ts";
import type { GroundingPipeline } from "../grounding/pipeline.ts";
import type { FilmWork } from "./film_tasks.ts";

/** A film of a call, and which of its phrases. */
export interface CallItem {
  work: FilmWork;
  phrase: string;
}

/** Batches of a ground-truth pass in one call: so many that the last one, which is smaller, costs little. */
const BATCHES = 4;

/** Most maps of one call: their single timesteps are in memory together, 5 MB each for Stable Diffusion 1.5. */
const MOST_MAPS = 64;

/** Items of a U-Net evaluation that one map takes in the main pass, and in the pass for its text bias. */
export function evaluationsPerMap({ mode, steps, lastSteps, merge }: GroundSettings): { main: number; bias: number } {
  const branches = mode === "cfg" || mode === "gt1" ? 2 : 1;
  const needed = mode === "gt" && merge === "none" ? Math.min(steps, lastSteps) : steps;
  return { main: branches * needed, bias: merge === "none" || mode === "cfg" ? 0 : 2 * steps };
}

/**
 * Gathers films into calls of the pipeline that fill its batches, all phrases of a film together. Small calls finish
 * their results early, so that little is lost where the work is interrupted.
 */
export async function* gatherCalls(films: AsyncIterable<FilmWork>, pipeline: GroundingPipeline, settings: GroundSettings): AsyncGenerator<CallItem[]> {
  const wanted = Math.min(MOST_MAPS, mapsPerCall(pipeline, settings));
  let items: CallItem[] = [];
  for await (const work of films) {
    for (const phrase of work.phrases) {
      if (items.length === MOST_MAPS) {
        yield items;
        items = [];
      }
      items.push({ work, phrase });
    }
    if (items.length < wanted) continue;
    yield items;
    items = [];
  }
  if (items.length > 0) yield items;
}

function mapsPerCall({ ldm }: GroundingPipeline, settings: GroundSettings): number {
  const { sampleSize } = ldm.vae.config;
  const batch = settings.batch === "auto" ? automaticBatch(ldm.gpu, sampleSize / ldm.vae.factor) : settings.batch;
  const { main } = evaluationsPerMap(settings);
  // Timesteps of a ground-truth pass fill batches too; those of a sampled one follow each other.
  return settings.mode === "gt" ? Math.ceil((BATCHES * batch) / main) : Math.ceil((batch * settings.steps) / main);
}
