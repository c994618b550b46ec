import { DeviceLostError } from "../errors.ts";
import type { ExploredMap, PartialMap } from "../grounding/exploration.ts";
import type { GroundProgress } from "../grounding/pipeline.ts";
import type { Engine, PageExploration } from "./engine.ts";
import { explain } from "./explain.ts";
import type { ShownFilm } from "./film.ts";
import { type PageSettings, exploreOptions } from "./settings.ts";

/** What a panel knows of its phrase. */
export interface PanelState {
  progress?: GroundProgress;
  partial?: PartialMap;
  exploration?: PageExploration;
  explored?: ExploredMap;
  seconds?: number;
  error?: string;
}

/** What is explored, and how. */
export interface RunInputs {
  engine: Pick<Engine, "pipeline">;
  film: Pick<ShownFilm, "film">;
  phrase: string;
  settings: PageSettings;
}

/** Who is told of a run, until it ends. */
export interface RunWatch {
  update(change: Partial<PanelState>): void;
  onDeviceLost(reason: string): void;
}

/** An exploration of a panel, from its start until another takes its place. */
export interface ExplorationRun {
  /** Stops computing: the visitor wants no more of it. */
  stop(): void;
  /** Stops, gives back what was computed, and tells nothing from now on. */
  end(): void;
}

/** Starts an exploration. */
export function startRun({ engine, film, phrase, settings }: RunInputs, { update, onDeviceLost }: RunWatch): ExplorationRun {
  const controller = new AbortController();
  const { signal } = controller;
  let isEnded = false;
  let made: PageExploration | undefined;
  const tell = (change: Partial<PanelState>) => { if (!isEnded) update(change); };
  // What the worker sent before it heard of the stop still arrives.
  const tellRunning = (change: Partial<PanelState>) => { if (!signal.aborted) tell(change); };

  async function run(): Promise<void> {
    const start = performance.now();
    try {
      const exploration = await engine.pipeline.explore(film.film, phrase, { ...exploreOptions(settings), signal, onProgress: (progress) => tellRunning({ progress }), onPartial: (partial) => tellRunning({ partial }) });
      if (signal.aborted) {
        free(exploration);
        return tell({ progress: undefined });
      }
      made = exploration;
      tell({ exploration, progress: undefined, seconds: (performance.now() - start) / 1000 });
    } catch (error) {
      const text = explain(error);
      tell({ progress: undefined, error: text });
      if (error instanceof DeviceLostError && !isEnded) onDeviceLost(text ?? "");
    }
  }
  void run();

  return {
    stop: () => controller.abort(),
    end() {
      isEnded = true;
      controller.abort();
      if (made) free(made);
    },
  };
}

/** Where the device is gone, so is the exploration. */
function free(exploration: PageExploration): void {
  void exploration.free().catch(() => undefined);
}
