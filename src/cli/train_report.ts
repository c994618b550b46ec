import { readFile, readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import { InputError } from "../errors.ts";
import { spread } from "../report/curves.ts";
import { type TrainingReport, trainingReportHtml } from "../report/training_page.ts";
import { readConfiguration } from "../training/checkpoint_node.ts";
import { METRICS_FILE, readMetrics } from "../training/metrics_node.ts";
import { VALIDATION_FILE, VALIDATION_FOLDER } from "../training/validation_node.ts";
import type { ValidationRecord } from "../training/validation_record.ts";
import { parseJson } from "../weights/byte_source.ts";
import { createCommand, printJson } from "./command.ts";
import { version } from "./package.ts";
import { writeText } from "./result_files.ts";
import { thumbnail } from "./thumbnail.ts";

/** File of the page in a run's folder. */
export const REPORT_FILE = "report.html";
/** Longer side of a picture on the page, in pixels: twice what it is shown at. */
const PICTURE_SIDE = 256;
/** Most validations whose pictures are on the page. */
const MOST_COLUMNS = 8;

/** `train report`: the page of a run, finished or under way. */
export function reportCommand(): Command {
  return createCommand("report", "write the page of a training run, finished or under way: curves and validation maps", "train report run")
    .argument("<run>", "the run's folder: --out of train")
    .action(async (run: string, { json }: { json?: boolean }) => {
      const path = await writeTrainingReport(run);
      if (json) printJson({ report: path });
      else process.stdout.write(`${path}\n`);
    });
}

/** Writes the page into a run's folder; gives its path. @throws InputError where no step was taken there yet */
export async function writeTrainingReport(run: string): Promise<string> {
  const records = await readMetrics(join(run, METRICS_FILE));
  if (records.length === 0) throw new InputError(run, `holds no steps of a training (${METRICS_FILE}); name the --out of attnscope train`);
  const validations = await readValidations(join(run, VALIDATION_FOLDER), records[records.length - 1].step);
  const path = join(run, REPORT_FILE);
  await writeText(path, trainingReportHtml({
    name: basename(resolve(run)),
    records,
    configuration: await readConfiguration(run),
    validations: validations.map(({ record }) => record),
    pictures: await Promise.all(spread(validations, MOST_COLUMNS).map(readPictures)),
    version,
  }));
  return path;
}

interface Validation {
  folder: string;
  record: ValidationRecord;
}

/** The validations of a run up to a step, in order; one that is being written is passed over. */
async function readValidations(folder: string, lastStep: number): Promise<Validation[]> {
  const validations: Validation[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name, VALIDATION_FILE);
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) validations.push({ folder: join(folder, name), record: parseJson(path, text) as ValidationRecord });
  }
  return validations.filter(({ record }) => record.step <= lastStep).sort((a, b) => a.record.step - b.record.step);
}

async function readPictures({ folder, record }: Validation): Promise<TrainingReport["pictures"][number]> {
  const urls = new Map<string, string>();
  for (const { picture } of record.films) urls.set(picture, await thumbnail(join(folder, picture), PICTURE_SIDE));
  return { record, urls };
}
