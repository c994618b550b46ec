import { useEffect, useRef, useState } from "preact/hooks";
import { DeviceLostError } from "../errors.ts";
import type { ExploredMap, PartialMap } from "../grounding/exploration.ts";
import type { GroundProgress } from "../grounding/pipeline.ts";
import type { WorkerExploration } from "../worker/client.ts";
import type { Engine } from "./engine.ts";
import { explain } from "./explain.ts";
import type { ShownFilm } from "./film.ts";
import { type PageSettings, exploreOptions, mapChoice } from "./settings.ts";

/** What a panel knows of its phrase. */
export interface PanelState {
  phrase: string;
  progress?: GroundProgress;
  partial?: PartialMap;
  exploration?: WorkerExploration;
  explored?: ExploredMap;
  seconds?: number;
  error?: string;
}

/** What a panel is given. */
export interface PanelInputs {
  engine: Engine | undefined;
  film: ShownFilm | undefined;
  /** What was submitted; empty: nothing yet. */
  phrase: string;
  settings: PageSettings;
  /** Asks for the engine anew after its device was lost. */
  onDeviceLost(reason: string): void;
}

/** Grounds the phrase whenever it, the film or what costs evaluations changes, and makes maps of every other choice at once. */
export function useExploration({ engine, film, phrase, settings, onDeviceLost }: PanelInputs): PanelState & { stop(): void } {
  const [state, setState] = useState<PanelState>({ phrase: "" });
  const stop = useRef<() => void>(() => {});
  const { steps, seed, mode, tokens } = settings;

  useEffect(() => {
    if (!engine || !film || phrase === "") return setState({ phrase });
    const controller = new AbortController();
    stop.current = () => controller.abort();
    let made: WorkerExploration | undefined;
    const update = (change: Partial<PanelState>) => {
      if (!controller.signal.aborted) setState((state) => ({ ...state, ...change }));
    };
    const start = performance.now();
    setState({ phrase, progress: { stage: "encode", done: 0, total: 1 } });
    engine.pipeline
      .explore(film.film, phrase, { ...exploreOptions(settings), signal: controller.signal, onProgress: (progress) => update({ progress }), onPartial: (partial) => update({ partial }) })
      .then((exploration) => {
        made = exploration;
        if (controller.signal.aborted) return exploration.free();
        update({ exploration, progress: undefined, seconds: (performance.now() - start) / 1000 });
      })
      .catch((error: unknown) => {
        const text = explain(error);
        setState((state) => (state.phrase === phrase ? { ...state, progress: undefined, error: text } : state));
        if (error instanceof DeviceLostError) onDeviceLost(text ?? "");
      });
    return () => {
      controller.abort();
      void made?.free().catch(() => undefined);
    };
  }, [engine, film, phrase, steps, seed, mode, tokens]);

  const { exploration } = state;
  const choice = mapChoice(settings);
  useEffect(() => {
    if (!exploration) return;
    let isLatest = true;
    exploration.map(choice).then(
      (explored) => { if (isLatest) setState((state) => ({ ...state, explored })); },
      (error: unknown) => { if (isLatest) setState((state) => ({ ...state, error: explain(error) })); },
    );
    return () => { isLatest = false; };
  }, [exploration, JSON.stringify(choice)]);

  return { ...state, stop: () => stop.current() };
}
