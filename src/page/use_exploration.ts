import { useEffect, useRef, useState } from "preact/hooks";
import type { Engine } from "./engine.ts";
import { explain } from "./explain.ts";
import { type PanelState, startRun } from "./exploration_run.ts";
import type { ShownFilm } from "./film.ts";
import { type PageSettings, mapChoice } from "./settings.ts";

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
  const [state, setState] = useState<PanelState>({});
  const stop = useRef<() => void>(() => {});
  const { steps, seed, mode, tokens } = settings;

  useEffect(() => {
    if (!engine || !film || phrase === "") return setState({});
    setState({ progress: { stage: "encode", done: 0, total: 1 } });
    const run = startRun({ engine, film, phrase, settings }, { update: (change) => setState((state) => ({ ...state, ...change })), onDeviceLost });
    stop.current = run.stop;
    return run.end;
  }, [engine, film, phrase, steps, seed, mode, tokens]);

  const { exploration } = state;
  const choice = mapChoice(settings);
  useEffect(() => {
    if (!exploration) return;
    let isLatest = true;
    // Until a new run's beginning is shown, a map of the one before it may still arrive.
    const update = (change: Partial<PanelState>) => setState((state) => (isLatest && state.exploration === exploration ? { ...state, ...change } : state));
    exploration.map(choice).then((explored) => update({ explored }), (error: unknown) => update({ error: explain(error) }));
    return () => { isLatest = false; };
  }, [exploration, JSON.stringify(choice)]);

  return { ...state, stop: () => stop.current() };
}
