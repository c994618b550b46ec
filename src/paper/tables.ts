import type { MetricName } from "../eval/row.ts";
import { type Estimate, type GroupSummary, type KindSummary, type SummarisedRow, summarise } from "../eval/summary.ts";
import type { Table } from "../eval/tables.ts";
import type { Mode } from "../grounding/options.ts";
import { processings, shownMetrics } from "./claims.ts";
import { type SweptRun, rowsWhere } from "./measured.ts";
import { OWN_ENCODER, type Published, WEIGHTED, encoders, publishedGroups, samplingNames, table1, table2, table3, table4 } from "./published.ts";

/** A value of ours: measured, or the reason why it is not there. */
export type Measured = Estimate | { readonly missing: string };

/** One line of a table of the paper: what it is about, and ours beside the paper's, in the order of the columns. */
export interface PaperRow {
  readonly keys: readonly string[];
  /** How many samples ours is of; 0 where it is missing. */
  readonly samples: number;
  readonly cells: readonly { readonly here: Measured; readonly paper?: Published }[];
}

/** The counterpart of one of the paper's tables. */
export interface PaperTable {
  readonly id: string;
  readonly title: string;
  /** Where the paper has it. */
  readonly where: string;
  readonly keys: readonly string[];
  readonly columns: readonly string[];
  readonly rows: readonly PaperRow[];
}

/** Rows of a method, or what to give so that they are computed. */
export type MethodRows = readonly SummarisedRow[] | { readonly missing: string };

/** What to say of a method without weights. */
export function needs(option: string): { missing: string } {
  return { missing: `not computed: give ${option}` };
}

const isMissing = (of: MethodRows | Measured): of is { readonly missing: string } => "missing" in of;

// --- the four tables -------------------------------------------------------------------------------------------------

/** Methods of Table 1 besides this model's own. */
export interface Baselines {
  readonly bioVil: MethodRows;
  readonly bioVilL: MethodRows;
  readonly clip: MethodRows;
}

/** Table 1: by finding. */
export function baselineTable(run: SweptRun, { bioVil, bioVilL, clip }: Baselines): PaperTable {
  const own = (merge: "none" | "mixture") => rowsWhere(run, { mode: "gt", tokens: "lexical", merge });
  const methods: readonly [string, keyof typeof table1, MethodRows][] = [
    ["BioViL", "BioViL", bioVil],
    ["BioViL-L", "BioViL-L", bioVilL],
    ["CLIP LDM", "CLIP LDM", clip],
    ["this model", "CXR-BERT LDM", own("none")],
    ["this model + BBM", "CXR-BERT LDM + BBM", own("mixture")],
  ];
  return {
    id: "table1", title: "Table 1: baselines, by finding", where: "section 4, table 1 (MS-CXR, means over three trainings)",
    keys: ["finding", "method"], columns: ["mIoU", "CNR"],
    rows: methods.flatMap(([name, published, rows]) => groupRows(name, rows, ["miou", "cnr"], table1[published])),
  };
}

/** Table 3: by finding. */
export function processingTable(run: SweptRun): PaperTable {
  return {
    id: "table3", title: "Table 3: token choices and merges, by finding", where: "appendix B, table 3 (MS-CXR)",
    keys: ["finding", "processing"], columns: ["mIoU", "CNR"],
    rows: processings.flatMap(({ name, settings, published }) => groupRows(name, rowsWhere(run, settings), ["miou", "cnr"], published && table3[published])),
  };
}

/** A line a finding of the paper or of the data, then the averages. */
function groupRows(method: string, rows: MethodRows, metrics: readonly MetricName[], published?: readonly (readonly Published[])[]): PaperRow[] {
  const summary = isMissing(rows) ? undefined : summarise(rows)[0];
  const groups = [...new Set([...(summary?.diseases.map(({ group }) => group) ?? []), ...publishedGroups.slice(0, -1)])].sort();
  return [...groups, ...(summary ? ["all samples"] : []), WEIGHTED].map((group) => {
    const ours = summary && groupOf(summary, group);
    const theirs = published?.[(publishedGroups as readonly string[]).indexOf(group)];
    const absent = isMissing(rows) ? rows : { missing: "no such sample" };
    return { keys: [group, method], samples: ours?.rows ?? 0, cells: metrics.map((metric, m) => ({ here: ours?.metrics[metric] ?? absent, paper: theirs?.[m] })) };
  });
}

function groupOf({ diseases, all, weighted }: KindSummary, group: string): GroupSummary | undefined {
  if (group === "all samples") return all;
  return group === WEIGHTED ? weighted : diseases.find((each) => each.group === group);
}

/** Table 2: sampling modes and encoders. `others`: sweeps of models with other encoders. */
export function encoderTable(run: SweptRun, others: ReadonlyMap<string, SweptRun>): PaperTable {
  const metrics = ["miou", "top1", "aucRoc", "cnr"] as const;
  return {
    id: "table2", title: "Table 2: sampling and encoders", where: "appendix A, table 2 (MS-CXR, 50 timesteps)",
    keys: ["sampling", "model"], columns: metrics.map((metric) => shownMetrics[metric] as string),
    rows: (Object.keys(samplingNames) as Mode[]).flatMap((mode) =>
      encoders.map((encoder, e) => {
        const swept = encoder === OWN_ENCODER ? run : others.get(encoder);
        const summary = swept && summarise(rowsWhere(swept, { mode, tokens: "lexical", merge: "none" }))[0]?.all;
        return {
          keys: [samplingNames[mode], encoder === OWN_ENCODER ? `this model (${encoder} in the paper)` : encoder],
          samples: summary?.rows ?? 0,
          cells: metrics.map((metric, m) => ({ here: summary?.metrics[metric] ?? needs(`--encoder ${encoder}=DIR`), paper: [table2[mode][e][m]] as const })),
        };
      }),
    ),
  };
}

/** How good generated images are. */
export interface ImageQuality {
  readonly fid?: number;
  readonly fidXrv?: number;
  /** MS-SSIM between generated images. */
  readonly msSsim?: { readonly mean: number; readonly deviation: number };
  readonly images: number;
}

/** Table 4: image quality against grounding. `quality` and `sweeps` by encoder, as `--encoder` names them. */
export function qualityTable(quality: ReadonlyMap<string, ImageQuality>, sweeps: ReadonlyMap<string, SweptRun>): PaperTable {
  return {
    id: "table4", title: "Table 4: image quality and grounding", where: "appendix D, table 4; the paper gives no MS-SSIM",
    keys: ["model"], columns: ["FID", "FID_XRV", "MS-SSIM", "CNR"],
    rows: Object.entries(table4).map(([name, [fid, fidXrv, cnr]]): PaperRow => {
      const encoder = name.replace("Frozen ", "");
      const images = quality.get(encoder);
      const swept = sweeps.get(encoder);
      const grounding = swept && summarise(rowsWhere(swept, { mode: "gt", tokens: "lexical", merge: "none" }))[0]?.all;
      const model = `--encoder "${encoder}=DIR"`;
      const distance = (value: number | undefined, option: string) => (value === undefined ? needs([...(images ? [] : [model]), option].join(" and ")) : single(value));
      return {
        keys: [encoder === OWN_ENCODER ? `this model (${name} in the paper)` : name],
        samples: images?.images ?? 0,
        cells: [
          { here: distance(images?.fid, "--inception FILE"), paper: [fid] },
          { here: distance(images?.fidXrv, "--xrv FILE"), paper: [fidXrv] },
          { here: images?.msSsim ? single(images.msSsim.mean) : needs(images ? "two images of one prompt" : model) },
          { here: grounding?.metrics.cnr ?? needs(model), paper: [cnr] },
        ],
      };
    }),
  };
}

/** A value without an interval. */
function single(mean: number): Estimate {
  return { mean, low: mean, high: mean };
}

// --- as CSV ----------------------------------------------------------------------------------------------------------

/** A table for spreadsheets: of every column our mean and interval, the paper's value and deviation, and why ours is missing. */
export function csvTable({ keys, columns, rows }: PaperTable): Table {
  const header = [...keys, "samples", ...columns.flatMap((name) => [name, `${name} low`, `${name} high`, `${name} paper`, `${name} paper deviation`]), "note"];
  const cells = rows.map((row) => {
    const notes = new Set(row.cells.flatMap(({ here }) => (isMissing(here) ? [here.missing] : [])));
    const values = row.cells.flatMap(({ here, paper }) => [...(isMissing(here) ? ["", "", ""] : [here.mean, here.low, here.high]), paper?.[0] ?? "", paper?.[1] ?? ""]);
    return [...row.keys, row.samples, ...values, [...notes].join("; ")];
  });
  return [header, ...cells];
}
