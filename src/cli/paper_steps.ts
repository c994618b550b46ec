import { spawn } from "node:child_process";
import { isAbsolute, join, relative } from "node:path";
import type { DatasetName } from "../data/layouts/find_node.ts";
import { OWN_ENCODER } from "../paper/published.ts";
import { exitCodes, log } from "./command.ts";
import { DRAWN_FILMS, type PaperOptions, generators } from "./paper_options.ts";

/** Seed of the phantom whose test films the shipped model was never trained on. */
const PHANTOM_SEED = "1";

/** One command of the program whose results the report is made of. */
export interface PaperStep {
  /** Its name in the report. */
  readonly name: string;
  /** The folder that it leaves its results in. */
  readonly folder: string;
  readonly args: readonly string[];
}

/** A step that failed: it has said why itself. */
export class StepFailed extends Error {
  override name = "StepFailed";
  readonly exitCode: number;
  constructor(exitCode: number) {
    super("a step failed");
    this.exitCode = exitCode;
  }
}

/** Where the results of the steps are. */
export function paperFolders(out: string) {
  const at = (name: string) => join(out, name);
  return {
    films: at("films"),
    controls: at("controls"),
    methods: at("methods"),
    lastSteps: at("last-steps"),
    layers: at("layers"),
    timesteps: at("timesteps"),
    encoder: (name: string) => at(`encoder-${slug(name)}`),
    lora: (rank: string) => at(`lora-${rank}`),
    prompts: at("prompts.csv"),
    generated: (name: string) => at(`generated-${slug(name)}`),
  };
}

const slug = (name: string) => name.toLowerCase().replaceAll(" ", "-");

/** The data set that the steps go through. */
export function paperData({ out, dataset, data }: PaperOptions): { dataset?: DatasetName; data: string } {
  return data === undefined ? { dataset: "phantom", data: paperFolders(out).films } : { dataset, data };
}

/** The steps in order. Each goes on where an earlier call left it. */
export function paperSteps(options: PaperOptions): PaperStep[] {
  const { out, films, steps, lastSteps, timesteps, curveFilms } = options;
  const folders = paperFolders(out);
  const drawn = String(films ?? DRAWN_FILMS);
  const draw: PaperStep = { name: "films", folder: folders.films, args: ["data", "phantom", "--count", "0", "--validate", "0", "--test", drawn, "--seed", PHANTOM_SEED, "--out", folders.films] };
  const run = (name: string, command: "eval" | "sweep", folder: string, model: string | undefined, limit: number | undefined, ...args: string[]): PaperStep => ({
    name, folder, args: [command, ...dataArgs(options), ...runArgs(options, model), ...(limit === undefined ? [] : ["--limit", String(limit)]), ...args, "--out", folder],
  });
  const last = ["--last-steps", String(lastSteps)];
  const all = ["--steps", String(steps), ...last, "--layers", "all"];
  const modes = ["--mode", "gt,gt1,cfg,text"];
  const bbm = ["--tokens", "lexical", "--merge", "none,mixture"];
  const one = ["--mode", "gt", "--steps", String(steps), ...bbm, "--no-means"];
  return [
    ...(options.data === undefined ? [draw] : []),
    run("controls", "eval", folders.controls, options.model, films, "--controls", "--steps", String(steps), ...last),
    run("tables 1 to 3", "sweep", folders.methods, options.model, films, ...modes, "--tokens", "lexical,disease,all", "--merge", "mixture,linear,quadratic,none", ...all),
    run("figure 5", "sweep", folders.lastSteps, options.model, films, ...one, "--last-steps", spread(steps).join(), "--layers", "all"),
    run("figure 6", "sweep", folders.layers, options.model, films, ...one, ...last, "--layers", "all,resolutions,single"),
    run("figure 4", "sweep", folders.timesteps, options.model, Math.min(films ?? Infinity, curveFilms), ...modes, "--steps", timesteps.join(), ...bbm, ...last, "--layers", "all", "--no-means"),
    ...[...options.encoder].map(([name, model]) => run(`encoder ${name}`, "sweep", folders.encoder(name), model, films, ...modes, ...bbm, ...all)),
    ...[...options.lora].map(([rank, model]) => run(`LoRA of rank ${rank}`, "sweep", folders.lora(rank), model, films, ...one, ...last, "--layers", "all,resolutions")),
  ];
}

/** Prompts of table 4, and how many images of each are compared with each other. */
export const PROMPTS = 20;
const IMAGES = "4";

/** The steps that generate images for table 4 from the file of prompts, by model: of those of it that are there. */
export function generateSteps(options: PaperOptions): Map<string, PaperStep> {
  const { out, encoder, generated, steps } = options;
  const folders = paperFolders(out);
  const missing = generators.filter((name) => !generated.has(name) && (name === OWN_ENCODER || encoder.has(name)));
  return new Map(missing.map((name) => {
    const model = name === OWN_ENCODER ? options.model : encoder.get(name);
    const folder = folders.generated(name);
    return [name, { name: `images, ${name}`, folder, args: ["generate", ...modelArgs(options, model), "--prompts", folders.prompts, "--count", IMAGES, "--steps", String(steps), "--out", folder] }];
  }));
}

/** Where the images of each model are: those that were given, and those that the steps have generated. */
export function generatedImages(options: PaperOptions): Map<string, string> {
  return new Map([...options.generated, ...[...generateSteps(options)].map(([name, { folder }]) => [name, join(folder, "images")] as const)]);
}

/** Most values of n in figure 5. */
const MOST_LAST = 12;

/** Values of n from 1 to T, evenly. */
function spread(steps: number): number[] {
  const most = Math.min(steps, MOST_LAST);
  return [...new Set(Array.from({ length: most }, (_, i) => Math.round(((i + 1) * steps) / most)))];
}

function dataArgs(options: PaperOptions): string[] {
  const { dataset, data } = paperData(options);
  return [...(dataset ? ["--dataset", dataset] : []), "--data", data, ...optional("--images", options.images), ...optional("--split", options.split)];
}

function runArgs(options: PaperOptions, model: string | undefined): string[] {
  return [...modelArgs(options, model), ...(options.cache ? [] : ["--no-cache"])];
}

function modelArgs({ textEncoder, ema, dtype, batch, memoryBudget, seed, model: own }: PaperOptions, model: string | undefined): string[] {
  return [
    ...optional("--model", model), ...optional("--text-encoder", model === own ? textEncoder : undefined), ...(ema ? ["--ema"] : []),
    "--dtype", dtype, "--batch", String(batch), "--seed", String(seed), ...optional("--memory-budget", memoryBudget),
  ];
}

function optional(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

/**
 * Runs a step as a process of its own, printed as it could be typed. Samples that it left out are no failure.
 * @param isFinished whether the step, begun at `since`, went through all of its work though it says that input was bad
 * @throws StepFailed, or AbortError where it was interrupted
 */
export async function runStep({ args }: PaperStep, isFinished: (since: Date) => Promise<boolean>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const shown = args.map((word) => (isAbsolute(word) ? relative(process.cwd(), word) || "." : word)).map((word) => (/\s/.test(word) ? JSON.stringify(word) : word));
  log(`\n$ attnscope ${shown.join(" ")}`);
  const since = new Date();
  const code = await attnscope(args, signal);
  signal.throwIfAborted();
  if (code === exitCodes.done || (code === exitCodes.badInput && (await isFinished(since)))) return;
  throw new StepFailed(code);
}

/** Runs this program with other arguments; its results are lines for people here. -> exit code */
async function attnscope(args: readonly string[], signal: AbortSignal): Promise<number> {
  // In a group of its own, out of reach of the terminal's Ctrl-C, it gets one signal alone: a second would end it at once.
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1], ...args], { detached: true, stdio: ["ignore", process.stderr, process.stderr] });
  const interrupt = () => void child.kill("SIGINT");
  signal.addEventListener("abort", interrupt);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve(code ?? exitCodes.deviceFailed));
    });
  } finally {
    signal.removeEventListener("abort", interrupt);
  }
}
