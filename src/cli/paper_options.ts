import { type Command, InvalidArgumentError, Option } from "commander";
import { datasetNames } from "../data/layouts/find_node.ts";
import { defaultSettings } from "../grounding/options.ts";
import { OWN_ENCODER, encoders } from "../paper/published.ts";
import type { DataOptions } from "./eval_data.ts";
import { type RunOptions, addRunOptions } from "./ground_options.ts";
import { wholeNumber } from "./numbers.ts";

/** What `paper` takes. */
export interface PaperOptions extends RunOptions, Omit<DataOptions, "limit" | "shard"> {
  seed: number;
  batch: "auto" | number;
  /** Samples; all where absent, or as many as are drawn by default. */
  films?: number;
  steps: number;
  lastSteps: number;
  /** Values of T in figure 4, and how many samples it is of. */
  timesteps: readonly number[];
  curveFilms: number;
  biovil?: string;
  biovilL?: string;
  /** Folders by name. */
  encoder: ReadonlyMap<string, string>;
  lora: ReadonlyMap<string, string>;
  generated: ReadonlyMap<string, string>;
  real?: string;
  inception?: string;
  xrv?: string;
}

/** The models of tables 2 and 4 besides the one that is evaluated. */
const otherEncoders = [...encoders.filter((name) => name !== OWN_ENCODER), "Learnable CLIP"];

/** The models of table 4. */
export const generators = [OWN_ENCODER, "CLIP", "Learnable CLIP"];

/** Films of the phantom that are drawn where there is no other data set, and samples of figure 4. */
export const DRAWN_FILMS = 200;
const CURVE_FILMS = 40;

/** Adds the options of `paper`. */
export function addPaperOptions(command: Command): Command {
  return addRunOptions(command, { out: "attnscope-paper" })
    .addOption(new Option("--dataset <name>", "what the data is").choices(datasetNames))
    .option("--data <folder>", `the data set's folder, or its table (default: ${DRAWN_FILMS} synthetic films, drawn now)`)
    .option("--images <folder>", "where the paths of the images start (default: the folder of the table)")
    .option("--split <name>", "only this split (default: all)")
    .option("--films <n>", "only so many samples: less to wait for, wider intervals", wholeNumber(1))
    // As many timesteps as figure 5 needs to show a course; on the phantom fifty point where ten do.
    .option("--steps <n>", "timesteps T of all tables", wholeNumber(1), 10)
    .option("--last-steps <n>", "how many of the last timesteps make the map", wholeNumber(1), defaultSettings.lastSteps)
    .option("--timesteps <list>", "the values of T in figure 4", counts, [1, 2, 3, 5, 10])
    .option("--curve-films <n>", "samples of figure 4", wholeNumber(1), CURVE_FILMS)
    .option("--biovil <folder>", "CXR-BERT-specialized with BioViL's image model, for table 1")
    .option("--biovil-l <folder>", "the same with BioViL-L's image model")
    .option("--encoder <name=folder>", `a model with another text encoder, for tables 2 and 4: ${otherEncoders.join(", ")}`, named(otherEncoders), new Map())
    .option("--lora <rank=folder>", "a model with a LoRA of this rank merged into it, for figure 6", named(), new Map())
    .option("--generated <name=folder>", `images for table 4 in place of those that are generated now: ${generators.join(", ")}`, named(generators), new Map())
    .option("--real <folder>", "real images to compare those with (default: the images of the data set)")
    .option("--inception <file>", "weights of InceptionV3, for FID")
    .option("--xrv <file>", "weights of torchxrayvision's DenseNet-121, for FID_XRV");
}

function counts(text: string): number[] {
  return text.split(",").map(wholeNumber(1));
}

/** Collects NAME=FOLDER. @param names the known ones; ranks where absent */
function named(names?: readonly string[]): (text: string, before: ReadonlyMap<string, string>) => ReadonlyMap<string, string> {
  return (text, before) => {
    const [, name, folder] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    const isKnown = names ? names.includes(name) : /^[1-9]\d*$/.test(name ?? "");
    if (!isKnown) throw new InvalidArgumentError(names ? `Give NAME=FOLDER with one of ${names.join(", ")}.` : "Give RANK=FOLDER, such as 4=model.");
    return new Map([...before, [name, folder]]);
  };
}
