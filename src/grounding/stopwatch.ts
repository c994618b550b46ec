/** Milliseconds by stage. */
export class Stopwatch {
  readonly times: Record<string, number> = {};

  /** Runs `work` and adds its time to `stage`. */
  async time<R>(stage: string, work: () => Promise<R>): Promise<R> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.times[stage] = (this.times[stage] ?? 0) + performance.now() - start;
    }
  }
}
