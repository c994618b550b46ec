import type { GroundOptions, StreamedMap } from "./pipeline.ts";
import type { PassProgress } from "./passes.ts";
import type { GroundResult } from "./result.ts";

/** A grounding's maps as its timesteps arrive, its result last. Leaving the loop early stops the work. */
export async function* streamMaps(ground: (options: GroundOptions) => Promise<GroundResult>, options: GroundOptions = {}): AsyncGenerator<StreamedMap> {
  const left = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal;
  const queue: StreamedMap[] = [];
  let total = 0;
  let wake = () => {};
  const onPartial = ([map]: Float32Array[], progress: PassProgress) => {
    queue.push({ map, ...progress });
    total = progress.total;
    wake();
  };
  const finished = ground({ ...options, signal, onPartial });
  const settled = finished.then(() => true, () => true);
  try {
    for (let over = false; !over; ) {
      const arrival = new Promise<boolean>((resolve) => (wake = () => resolve(false)));
      if (queue.length === 0) over = await Promise.race([arrival, settled]);
      yield* queue.splice(0);
    }
    const result = await finished;
    yield { map: result.map, done: total, total, result };
  } finally {
    left.abort();
    await settled;
  }
}
