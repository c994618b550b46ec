import type { SentSource } from "../worker/methods.ts";
import type { Engine, Loading, LoadingWatch } from "./engine.ts";
import { explain } from "./explain.ts";

/** How the device and the model are. `note`: what the visitor should know of how it came to this. */
export type EngineState = { note?: string } & ({ kind: "loading"; loading?: Loading } | { kind: "ready"; engine: Engine } | { kind: "failed"; message: string });

/** Holds the page's one engine. */
export interface EngineKeeper {
  /** Gives up what is being opened, closes what is open, and opens what is chosen. A choice that fails changes nothing of what is open. */
  open(choose: () => SentSource): Promise<void>;
  /** Opens the last choice, again or for the first time. */
  reopen(note?: string): Promise<void>;
}

/** @param tell is told of every state, and of nothing of an opening that another one has replaced */
export function createEngineKeeper(first: SentSource, openEngine: (source: SentSource, watch: LoadingWatch) => Promise<Engine>, tell: (state: EngineState) => void): EngineKeeper {
  let source = first;
  let opening = new AbortController();
  let engine: Engine | undefined;

  async function openFrom(from: SentSource, note?: string): Promise<void> {
    opening.abort();
    const { signal } = (opening = new AbortController());
    const notes = note === undefined ? [] : [note];
    const update = (state: EngineState) => {
      if (!signal.aborted) tell({ ...state, note: notes.join(" ") });
    };
    update({ kind: "loading" });
    const before = engine;
    engine = undefined;
    await before?.close(); // first: a device may not hold two models
    try {
      signal.throwIfAborted();
      const opened = await openEngine(from, { signal, onLoading: (loading) => update({ kind: "loading", loading }), onNote: (text) => notes.push(text) });
      if (signal.aborted) return await opened.close();
      engine = opened;
      update({ kind: "ready", engine });
    } catch (error) {
      update({ kind: "failed", message: explain(error) ?? "stopped" });
    }
  }

  return {
    async open(choose) {
      try {
        source = choose();
      } catch (error) {
        const message = explain(error) ?? "stopped";
        if (engine) return tell({ kind: "ready", engine, note: message });
        opening.abort();
        return tell({ kind: "failed", message });
      }
      return openFrom(source);
    },
    reopen: (note) => openFrom(source, note),
  };
}
