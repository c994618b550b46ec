import { join } from "node:path";
import { readCsv } from "../data/layouts/csv_node.ts";
import { InputError } from "../errors.ts";
import { firstAlternative } from "../text/captions.ts";
import { phraseSlug } from "../text/phrase_slug.ts";

/** An image to make, and its place below the output folder. */
export interface PromptTask {
  readonly prompt: string;
  readonly seed: number;
  /** `<slug of the prompt>/<seed>.png`: images of one prompt share a folder. */
  readonly file: string;
}

/** Where prompts come from, and how many images each gets. */
export interface PromptOptions {
  prompt?: readonly string[];
  prompts?: string;
  count: number;
  seed: number;
}

/** Columns that may hold the prompts, the first that is there. */
const promptColumns = ["prompt", "phrase", "text", "caption", "label_text", "impression"];

/** A prompt, with a seed where the table has one. */
interface Prompt {
  text: string;
  seed?: number;
  /** Where it stands, for messages. */
  where: string;
}

/**
 * The images to make: every prompt `count` times. Seeds count up from `--seed` over all of them, or from the table's own.
 * @throws InputError where there is no prompt, one cannot be used, or two images would have one name
 */
export async function planImages(options: PromptOptions): Promise<PromptTask[]> {
  const listed: Prompt[] = (options.prompt ?? []).map((text) => ({ text, where: "--prompt" }));
  const prompts = options.prompts === undefined ? listed : [...listed, ...(await readPrompts(options.prompts))];
  if (prompts.length === 0 && options.prompts !== undefined) throw new InputError(options.prompts, "has no prompts; give a row for each image");
  if (prompts.length === 0) throw new InputError("--prompt", "is missing; say what to show, or give a CSV file with --prompts");
  const owner = new Map<string, string>();
  return prompts.flatMap(({ text, seed, where }, i) => {
    const prompt = firstAlternative(text);
    if (prompt === "") throw new InputError(where, "is empty; say what to show");
    return Array.from({ length: options.count }, (_, k) => {
      const own = seed === undefined ? options.seed + i * options.count + k : seed + k;
      const file = join(phraseSlug(prompt), `${own}.png`);
      const other = owner.get(file);
      if (other !== undefined) throw new InputError(where, `${JSON.stringify(prompt)} with seed ${own} would have the file of ${JSON.stringify(other)}; leave one out, or give another seed`);
      owner.set(file, prompt);
      return { prompt, seed: own, file };
    });
  });
}

/** Reads a CSV file of prompts, with seeds where it has a column `seed`. */
async function readPrompts(path: string): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  let header: readonly string[] | undefined;
  let column = -1;
  for await (const record of readCsv(path)) {
    const where = `${path}:${record.line}`;
    if ("fact" in record) throw new InputError(where, record.fact);
    if (!header) {
      header = record.fields.map((field) => field.trim());
      column = header.indexOf(promptColumns.find((name) => header?.includes(name)) ?? "");
      if (column < 0) throw new InputError(path, `has no column of prompts; name one of ${promptColumns.join(", ")}`);
      continue;
    }
    if (record.fields.length !== header.length) throw new InputError(where, `has ${record.fields.length} fields where the header has ${header.length}`);
    const seed = record.fields[header.indexOf("seed")];
    prompts.push({ text: record.fields[column], seed: seed === undefined ? undefined : seedOf(seed, where), where });
  }
  return prompts;
}

function seedOf(text: string, where: string): number {
  const seed = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(seed) || seed < 0) throw new InputError(where, `the seed ${JSON.stringify(text)} is not a whole number from 0 on`);
  return seed;
}
