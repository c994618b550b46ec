import { SingleBar } from "cli-progress";
import { formatDuration } from "../report/numbers.ts";
import { log } from "./command.ts";

/** Shows on stderr how far one piece of work is: a bar on a terminal, elsewhere a plain line now and then. */
export interface Progress {
  /** `done` of `total` in any unit, and what is being worked on. The total may change on the way. */
  update(label: string, done: number, total: number): void;
  /** Takes the bar away, so that lines can be printed. The next update brings it back. */
  stop(): void;
}

/** Milliseconds between two lines where there is no terminal. */
const LINE_INTERVAL = 10_000;

/** Progress of work that starts now. */
export function createProgress(): Progress {
  return process.stderr.isTTY ? barProgress() : lineProgress();
}

function barProgress(): Progress {
  const left = createPace();
  let bar: SingleBar | undefined;
  return {
    update(label, done, total) {
      bar ??= startBar();
      bar.setTotal(total);
      bar.update(done, { label, left: left(done, total) });
    },
    stop() {
      bar?.stop();
      bar = undefined;
    },
  };
}

function startBar(): SingleBar {
  const bar = new SingleBar({
    format: "{bar} {percentage} %  {left}  {label}",
    barCompleteChar: "━",
    barIncompleteChar: "─",
    barsize: 24,
    stream: process.stderr,
    clearOnComplete: true,
    linewrap: false,
    gracefulExit: false,
  });
  bar.start(1, 0, { label: "", left: "" });
  return bar;
}

function lineProgress(): Progress {
  const left = createPace();
  let last = performance.now();
  return {
    update(label, done, total) {
      const leftNow = left(done, total);
      if (performance.now() - last < LINE_INTERVAL) return;
      last = performance.now();
      log([`${Math.floor((100 * done) / total)} %`, leftNow, label].filter((text) => text !== "").join("  "));
    },
    stop: () => undefined,
  };
}

/** Tells the time that the rest will take, for people, at the pace since work began or went on; empty while that is not known. */
function createPace(): (done: number, total: number) => string {
  let first: { done: number; time: number } | undefined;
  return (done, total) => {
    // Another piece of work counts anew; one that goes on has not done all in the time that this process took.
    if (!first || done < first.done) first = { done, time: performance.now() };
    if (done === first.done) return "";
    const seconds = (performance.now() - first.time) / 1000;
    return `${formatDuration((seconds / (done - first.done)) * Math.max(total - done, 0))} left`;
  };
}
