import { setImmediate as nextTurn } from "node:timers/promises";

/** Work that goes on while the program waits for something else, one piece after the other. */
export interface Background {
  /** Takes a piece; waits while more than one is to be done before it. Throws what an earlier piece has thrown. */
  add(piece: () => Promise<void>): Promise<void>;
  /** Waits for the last piece. */
  end(): Promise<void>;
}

/** Nothing to do yet. */
export function createBackground(): Background {
  let [previous, last] = [Promise.resolve(), Promise.resolve()];
  return {
    async add(piece) {
      await previous;
      previous = last;
      last = last.then(piece);
      last.catch(() => undefined); // told by a later call
    },
    end: () => last,
  };
}

/** Milliseconds that a piece may keep others waiting. */
const SLICE = 5;

/** Does work on items one after the other, and now and then lets others have their turn. */
export async function inSlices<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  let begun = performance.now();
  for (const item of items) {
    work(item);
    if (performance.now() - begun < SLICE) continue;
    await nextTurn();
    begun = performance.now();
  }
}
