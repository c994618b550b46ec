import { SingleBar } from "cli-progress";
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
  const started = performance.now();
  let bar: SingleBar | undefined;
  return {
    update(label, done, total) {
      bar ??= startBar();
      bar.setTotal(total);
      bar.update(done, { label, left: timeLeft(started, done, total) });
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
  const started = performance.now();
  let last = started;
  return {
    update(label, done, total) {
      if (performance.now() - last < LINE_INTERVAL) return;
      last = performance.now();
      log(`${Math.floor((100 * done) / total)} %  ${timeLeft(started, done, total)}  ${label}`);
    },
    stop: () => undefined,
  };
}

/** The time that the rest will take at the pace so far, for people; empty while nothing is done. */
function timeLeft(started: number, done: number, total: number): string {
  if (done <= 0) return "";
  const seconds = (((performance.now() - started) / done) * Math.max(total - done, 0)) / 1000;
  return `${formatDuration(seconds)} left`;
}

/** Seconds as people say them: 0.8 s, 42 s, 3 min, 2 h 5 min. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
