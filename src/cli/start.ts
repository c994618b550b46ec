import { Command } from "commander";
import { type GroundSettings, completeSettings, defaultSettings } from "../grounding/options.ts";
import { describePoint } from "../report/film_coordinates.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { type LabelledFilm, shippedFilms } from "./films_file.ts";
import { finish, printSummary, runObject } from "./ground.ts";
import { type RunOptions, addRunOptions, addStepsOption } from "./ground_options.ts";
import { type FinishedResult, groundFilms } from "./ground_run.ts";

/** Timesteps of `start`: on the shipped films ten point where fifty do, in a fifth of the time. */
const STEPS = 10;

/** What `npm start` runs once everything is set up: the shipped films, each with its own phrase. */
export function startCommand(): Command {
  return addStepsOption(addRunOptions(createCommand("start", "ground the shipped films with the shipped model", "start")), STEPS).action(start);
}

async function start(options: RunOptions & Partial<GroundSettings>): Promise<void> {
  const settings = completeSettings({ ...options, perWord: true }, Infinity);
  const films = await shippedFilms();
  const tasks = films.map(({ path, phrase, boxes }) => ({ path, phrases: [phrase], boxes }));
  const signal = interruptSignal();
  log(`${films.length} synthetic films, ${settings.steps} timesteps (the default of ground is ${defaultSettings.steps})`);
  const onResult = options.json ? undefined : (result: FinishedResult) => printFilm(result, films);
  const run = await groundFilms({ tasks, settings, options, signal, onResult });
  const inside = run.results.filter(({ record }) => record.reference?.peakInside).length;
  if (options.json) {
    printJson({ peaksInside: inside, ...runObject(run) });
  } else {
    log(`${inside} of ${run.results.length} peaks lie in the box of what the phrase names (${run.seconds.toFixed(1)} s)`);
    printSummary(run);
  }
  finish(run, signal);
}

function printFilm({ record }: FinishedResult, films: readonly LabelledFilm[]): void {
  const { image, phrase, argmax, reference } = record;
  const label = films.find((film) => film.image === image.name)?.label ?? "";
  const peak = describePoint(argmax.film, image).padEnd(8);
  log(`${image.name}  ${label.padEnd(17)} peak ${peak} ${reference?.peakInside ? "in the box " : "outside    "}  ${phrase}`);
}
