import { type Command, Option } from "commander";
import { readFilm } from "../data/decode_node.ts";
import { InputError, UnsupportedError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { adapterName } from "../gpu/open.ts";
import type { Float } from "../ops/check.ts";
import { formatMs } from "../profile/units.ts";
import { type MeasuredClass, measureVariants } from "../tuning/measure.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import { savedMs, tuningTable } from "../tuning/table.ts";
import { type Tuning, tuningFormat } from "../tuning/tuning_file.ts";
import { readTuning, tuningFile, writeTuning } from "../tuning/tuning_node.ts";
import { openTuningWork } from "../tuning/work_node.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { shippedFilms } from "./films_file.ts";
import { wholeNumber } from "./numbers.ts";
import { shippedModel, version } from "./package.ts";
import { createProgress } from "./progress.ts";

interface TuneOptions {
  model?: string;
  train?: boolean;
  rounds: number;
  dtype: Float;
  json?: boolean;
}

const aboutFile = `
What was measured is kept in attnscope's folder of the user's cache, a file an adapter that can be read and edited; ops and
shape classes that are not measured anew stay. Other kernels round differently. ATTNSCOPE_TUNING=off takes the defaults.`;

/** `tune`: measures which kernels are fastest on this adapter, for the ones that follow to take. */
export function tuneCommand(): Command {
  return createCommand("tune", "measure which kernels are fastest on this adapter, and take them from then on", "tune --model path/to/model --train")
    .option("--model <folder>", "model in the diffusers layout, a folder or URL (default: weights/phantom of this package)")
    .option("--train", "also tune for a training step of the U-Net")
    .option("--rounds <n>", "times that count of each candidate, at least", wholeNumber(2), 7)
    .addOption(new Option("--dtype <type>", "type of the U-Net's weights and activations").choices(["f32", "f16"]).default("f32"))
    .addHelpText("after", aboutFile)
    .action(tune);
}

async function tune({ json, rounds, ...options }: TuneOptions): Promise<void> {
  const signal = interruptSignal();
  const [{ path, phrase }] = await shippedFilms();
  const gpu = await openGpu({ tuning: false });
  try {
    if (!gpu.has("timestamp-query")) throw new UnsupportedError("tune", "timestamp-query", "none", "without a tuning, kernels are chosen by the adapter's features");
    const { classes, notes } = await measure(gpu, rounds, { model: shippedModel, ...options, film: await readFilm(path), phrase, signal });
    const file = await writeTuning(gpu.adapter, await withEarlier(gpu, classes));
    if (json) printJson({ adapter: adapterName(gpu.adapter), driver: gpu.adapter.description, version, file, classes, notes });
    else process.stdout.write(`${tuningTable(classes)}\n`);
    for (const note of notes) log(`note: ${note}`);
    log(`${classes.filter(({ gain }) => gain > 0).length} of ${classes.length} choices beat the default, by ${formatMs(classes.reduce((sum, of) => sum + savedMs(of), 0))} ms a pass; wrote ${file}`);
  } finally {
    gpu.close();
  }
}

async function measure(gpu: Gpu, rounds: number, options: Parameters<typeof openTuningWork>[1]): ReturnType<typeof measureVariants> {
  const work = await openTuningWork(gpu, options);
  const progress = createProgress();
  try {
    return await measureVariants(work.run, { rounds, onPass: (done, total) => progress.update("passes", done, total) });
  } finally {
    progress.stop();
    work.free();
  }
}

/** What was measured, beside what stands in the adapter's file from the same driver. */
async function withEarlier({ adapter }: Gpu, classes: readonly MeasuredClass[]): Promise<Tuning> {
  const earlier = await readTuning(tuningFile(adapter)).catch((error: Error) => {
    if (!(error instanceof InputError)) throw error;
    log(`note: replaces what cannot be read: ${error.message}`);
    return undefined;
  });
  const choices: Tuning["choices"] = earlier?.driver === adapter.description ? earlier.choices : {};
  for (const { op, shapeClass, chosen, candidates } of classes) {
    const ms = Object.fromEntries(candidates.map(({ variant, medianMs }) => [variant, Number(medianMs.toPrecision(3))]));
    choices[op] = { ...choices[op], [shapeClass]: { variant: chosen, ms } };
  }
  return { format: tuningFormat, adapter: adapterName(adapter), driver: adapter.description, version, date: new Date().toISOString(), choices };
}
