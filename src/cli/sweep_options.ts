import { type Command, InvalidArgumentError, Option } from "commander";
import { metricNames } from "../eval/row.ts";
import type { GroundSettings } from "../grounding/options.ts";
import { type LayerSets, type SweepGrid, defaultGrid } from "../sweep/grid.ts";
import type { SearchedMetric } from "../sweep/layer_objective.ts";
import type { DataOptions } from "./eval_data.ts";
import { type RunOptions, guidanceOption, readingOption } from "./ground_options.ts";
import { wholeNumber } from "./numbers.ts";

/** What `sweep` takes, as commander parses it. */
export interface SweepOptions extends DataOptions, RunOptions, Pick<SweepGrid, "guidance" | "seed" | "reading" | "batch" | "steps" | "tokens" | "lastSteps" | "layers"> {
  mode: SweepGrid["modes"];
  merge: SweepGrid["merges"];
  /** Whether the means of every sample are kept. */
  means: boolean;
  /** Trials of the layer search; none where absent. */
  search?: number;
  searchMetric: SearchedMetric;
  searchStrategy: "tpe" | "random";
}

/** Adds the options of the grid: lists of what `ground` and `eval` take one of. */
export function addGridOptions(command: Command): Command {
  const { modes, steps, tokens, merges, lastSteps, layers } = defaultGrid;
  return command
    .addOption(listOption("--mode <list>", "how the network is sampled: gt,gt1,cfg,text; a pass each", words<GroundSettings["mode"]>, modes))
    .addOption(listOption("--steps <list>", "timesteps T; a pass each", numbers, steps))
    .addOption(listOption("--tokens <list>", "which words make the map: lexical,disease,all", words<GroundSettings["tokens"]>, tokens))
    .addOption(listOption("--merge <list>", "how image and text bias enter the map: mixture,linear,quadratic,none", words<GroundSettings["merge"]>, merges))
    .addOption(listOption("--last-steps <list>", "how many of the last timesteps make the map", numbers, lastSteps))
    .addOption(listOption("--layers <list>", "layer sets: all, resolutions (those of each), single (each alone), or sets such as 0+3", layerSets, layers))
    .addOption(guidanceOption())
    .addOption(readingOption());
}

/** Adds the options of the layer search. */
export function addSearchOptions(command: Command): Command {
  return command
    .option("--no-means", "do not keep the means of P by layer in means/, which the layer search works on")
    .option("--search <trials>", "then search the set of layers with the greatest metric, among all samples so far", wholeNumber(1))
    .addOption(new Option("--search-metric <name>", "what to search for").choices(metricNames.filter((name) => name !== "distance")).default("cnr"))
    .addOption(new Option("--search-strategy <name>", "sets like the best so far, or every set alike").choices(["tpe", "random"]).default("tpe"));
}

function listOption<V>(flags: string, description: string, parse: (text: string) => V[], values: readonly V[]): Option {
  return new Option(flags, description).argParser(parse).default(values, values.join(","));
}

/** Whether they are known is checked with the grid. */
function words<W extends string>(text: string): W[] {
  return text.split(",").map((word) => word.trim() as W);
}

function numbers(text: string): number[] {
  return text.split(",").map((item) => {
    if (!/^\s*\d+\s*$/.test(item)) throw new InvalidArgumentError("Give whole numbers such as 10,40.");
    return Number(item);
  });
}

function layerSets(text: string): LayerSets[] {
  return text.split(",").map((item) => {
    if (item === "all" || item === "resolutions" || item === "single") return item;
    if (!/^\d+(\+\d+)*$/.test(item)) throw new InvalidArgumentError("Give all, resolutions, single, or layers such as 0+3.");
    return item.split("+").map(Number);
  });
}
