/** Too many jobs wait already. */
export class QueueFullError extends Error {
  override name = "QueueFullError";
}

/** The queue takes no more jobs, since the program ends. */
export class QueueClosedError extends Error {
  override name = "QueueClosedError";
}

/** Runs jobs one after another; a job that fails fails alone. */
export interface JobQueue {
  /**
   * Takes a place, does `prepare` at once, and `job` with its outcome when its turn comes.
   * @throws QueueFullError, QueueClosedError, the signal's reason, or what either throws
   */
  run<T, R>(prepare: () => Promise<T>, job: (prepared: T) => Promise<R>, signal: AbortSignal): Promise<R>;
  /** Refuses jobs that have not begun, and waits for the one that runs. */
  close(): Promise<void>;
}

/** @param waiting most jobs that may wait behind the one that runs */
export function createJobQueue(waiting: number): JobQueue {
  let last: Promise<unknown> = Promise.resolve();
  let present = 0;
  let closed = false;
  const assertOpen = () => {
    if (closed) throw new QueueClosedError("the server is shutting down");
  };
  return {
    async run(prepare, job, signal) {
      assertOpen();
      if (present > waiting) throw new QueueFullError(`${waiting} requests wait already`);
      present++;
      try {
        const prepared = await prepare();
        const turn = last.then(() => {
          assertOpen();
          signal.throwIfAborted();
          return job(prepared);
        });
        last = turn.catch(() => undefined);
        return await turn;
      } finally {
        present--;
      }
    },
    async close() {
      closed = true;
      await last;
    },
  };
}
