import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { InputError } from "../errors.ts";
import type { Float } from "../ops/check.ts";
import { chromeTrace } from "../profile/chrome_trace.ts";
import { compareProfiles } from "../profile/compare.ts";
import { comparisonPage } from "../profile/comparison_page.ts";
import { comparisonTable } from "../profile/comparison_table.ts";
import { profilePage } from "../profile/page.ts";
import { profileWork } from "../profile/run.ts";
import { parseSavedProfile } from "../profile/saved_profile.ts";
import { profileTable } from "../profile/table.ts";
import { type WorkName, openWork, workNames } from "../profile/workloads_node.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { shippedFilms } from "./films_file.ts";
import { wholeNumber } from "./numbers.ts";
import { shippedModel, version } from "./package.ts";
import { memoryCommand } from "./profile_memory.ts";
import { writeText } from "./result_files.ts";

interface ProfileOptions {
  what: WorkName;
  model?: string;
  image?: string;
  phrase?: string;
  steps: number;
  batch?: number;
  dtype: Float;
  html?: string;
  trace?: string;
  json?: boolean;
}

/** `profile`, `profile compare A B` and `profile memory`. */
export function profileCommand(): Command {
  return createCommand("profile", "where the time goes: by kernel and scope, beside what the device reaches at best", "profile --what unet --html profile.html --json > before.json")
    .addOption(new Option("--what <work>", "what to do: ground a phrase, U-Net forward passes, training steps, the autoencoder, the text encoder").choices(workNames).default("ground"))
    .option("--model <folder>", "model in the diffusers layout, a folder or URL (default: weights/phantom of this package)")
    .option("--image <file>", "film to work on (default: a shipped synthetic one)")
    .option("--phrase <text>", "phrase to work on (default: that of the shipped film)")
    .option("--steps <n>", "timesteps of ground; passes or steps of the others", wholeNumber(1), 10)
    .option("--batch <n>", "items of one pass (default: what fills the device for ground, 1 for the others)", wholeNumber(1))
    .addOption(new Option("--dtype <type>", "type of the U-Net's weights and activations").choices(["f32", "f16"]).default("f32"))
    .option("--html <file>", "write one self-contained page: flame graph, roofline, memory, kernels with their WGSL")
    .option("--trace <file>", "write a Chrome trace, for chrome://tracing or Perfetto")
    .action(profile)
    // Options behind the name of a subcommand are its own.
    .enablePositionalOptions()
    .addCommand(compareCommand())
    .addCommand(memoryCommand());
}

async function profile({ html, trace, json, ...options }: ProfileOptions): Promise<void> {
  const signal = interruptSignal();
  const [{ path: image, phrase }] = await shippedFilms();
  const gpu = await openGpu();
  try {
    const work = await openWork(gpu, { image, phrase, model: shippedModel, ...options, batch: options.batch ?? "auto", signal });
    try {
      const { saved, profile } = await profileWork(gpu, work, { version, onStage: log });
      if (trace) await writeText(trace, chromeTrace(profile));
      if (html) await writeText(html, profilePage(saved));
      if (json) printJson(saved);
      else process.stdout.write(`${profileTable(saved)}\n`);
      for (const path of [trace, html]) if (path) log(`wrote ${path}`);
    } finally {
      work.free();
    }
  } finally {
    gpu.close();
  }
}

function compareCommand(): Command {
  return createCommand("compare", "two saved profiles side by side: every kernel and scope before, after, and the difference", "profile compare before.json after.json --html difference.html")
    .argument("<before>", "what attnscope profile --json printed")
    .argument("<after>", "the same of another run")
    .option("--html <file>", "write one self-contained page")
    .action(compare);
}

async function compare(before: string, after: string, { html, json }: { html?: string; json?: boolean }): Promise<void> {
  const comparison = compareProfiles(await readProfile(before), await readProfile(after), [before, after]);
  if (html) await writeText(html, comparisonPage(comparison));
  if (json) printJson(comparison);
  else process.stdout.write(`${comparisonTable(comparison)}\n`);
  if (html) log(`wrote ${html}`);
}

async function readProfile(file: string) {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new InputError(file, `cannot be read (${error.code}); check the path`);
  });
  return parseSavedProfile(file, text);
}
