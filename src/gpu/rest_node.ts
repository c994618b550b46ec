const longestNapMs = 1;
/** Below this a nap takes longer than it was meant to. */
const shortestNapMs = 0.05;

/** Never changes: what naps wait for in vain. */
const cell = new Int32Array(new SharedArrayBuffer(4));

let waits = 0;
let since = 0;
let turning = false;

function turn(): void {
  turning = waits > 0;
  if (!turning) return;
  const napMs = Math.min(longestNapMs, (performance.now() - since) / 10);
  if (napMs >= shortestNapMs) Atomics.wait(cell, 0, 0, napMs);
  setImmediate(turn);
}

/**
 * Waits for a device that computes on the CPU, asleep for most of the time. While anything is awaited from a device, Dawn's
 * binding for Node turns the event loop without a pause: of two cores it takes more than half of one from the device. A nap
 * is a tenth of the wait so far and at most a millisecond, so short waits end no later; between naps the loop serves others.
 */
export async function restUntil<R>(done: Promise<R>): Promise<R> {
  if (waits++ === 0) since = performance.now();
  if (!turning) {
    turning = true;
    setImmediate(turn);
  }
  try {
    return await done;
  } finally {
    waits--;
  }
}
