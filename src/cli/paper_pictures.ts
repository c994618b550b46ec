import { join } from "node:path";
import sharp from "sharp";
import { readFilm } from "../data/decode_node.ts";
import type { Picture } from "../data/draw.ts";
import type { Film } from "../data/film.ts";
import type { DataSample } from "../data/layouts/layout.ts";
import { type Box, planPreprocess } from "../data/preprocess.ts";
import { overlay } from "../data/render.ts";
import { groupBy } from "../group_by.ts";
import type { RowKind } from "../eval/plan.ts";
import type { EvalRow, RowMetrics } from "../eval/row.ts";
import type { GroundSettings } from "../grounding/options.ts";
import { type SweptRun, rowsWhere } from "../paper/measured.ts";
import type { MethodMaps, PagePicture, SamplePictures, WordMaps } from "../paper/pictures.ts";
import { type DrawOptions, type DrawnMap, drawn, mapsFromMeans, startTokenMap } from "../paper/sample_maps.ts";
import type { TargetMeans } from "../sweep/layer_means.ts";
import { readMeansFile } from "../sweep/means_file_node.ts";
import { firstAlternative } from "../text/captions.ts";
import type { EvalData } from "./eval_run.ts";
import type { Session } from "./ground_session.ts";
import { createProgress } from "./progress.ts";
import { meansPath } from "./sweep_run.ts";
import { thumbnail } from "./thumbnail.ts";

/** Longer side of a picture in the page, in pixels. */
const PICTURE_SIDE = 256;

/** Films of figures 2 and 3: one of each finding at most. */
const [WORD_FILMS, METHOD_FILMS] = [4, 8];

/** What the pictures are made from. */
export interface PictureSources {
  readonly session: Session;
  readonly data: EvalData;
  /** Rows of the evaluation with controls. */
  readonly controls: readonly EvalRow[];
  readonly methods: SweptRun;
  /** Where the means of the methods' sweep are. */
  readonly meansFolder: string;
  readonly draw: Omit<DrawOptions, "merges">;
  readonly settings: Pick<GroundSettings, "steps" | "lastSteps" | "seed" | "batch">;
  /** Maps of other methods in figure 3, or why there are none. */
  readonly others: readonly OtherMethod[];
  readonly signal: AbortSignal;
}

/** A method of figure 3 besides the model's own. */
export interface OtherMethod {
  readonly name: string;
  /** undefined where it is not computed. */
  readonly mapOf?: (film: Film, sample: number, phrase: string) => Promise<DrawnMap>;
  /** What to give so that it is. */
  readonly missing: string;
}

/** All pictures of the report. */
export interface PaperPictures {
  readonly words: WordMaps[];
  readonly methods: MethodMaps[];
  readonly samples: SamplePictures[];
}

/** Makes the pictures: of all samples from the kept means; figure 2 and the controls of figure 3 are grounded now. */
export async function paperPictures(sources: PictureSources): Promise<PaperPictures> {
  const samples = await samplePictures(sources);
  const shown = shownSamples(sources.methods);
  return { samples, words: await wordPictures(sources, shown.slice(0, WORD_FILMS)), methods: await methodPictures(sources, shown.slice(0, METHOD_FILMS)) };
}

/** The first sample of each finding. */
function shownSamples(methods: SweptRun): number[] {
  const usable = methods.rows.filter(({ note }) => note === undefined).sort((a, b) => a.sample - b.sample);
  return [...groupBy(usable, ({ label }) => label).values()].map(([first]) => first.sample);
}

// --- all samples -----------------------------------------------------------------------------------------------------

/** Samples whose means are on the device together. */
const AT_ONCE = 16;

async function samplePictures({ session, data, methods, meansFolder, draw, settings: { steps }, signal }: PictureSources): Promise<SamplePictures[]> {
  const { gpu } = session.pipeline.ldm;
  const imageSize = session.pipeline.ldm.vae.config.sampleSize;
  const merged = bySample(rowsWhere(methods, { mode: "gt", tokens: "lexical", merge: "mixture" }));
  const plain = bySample(rowsWhere(methods, { mode: "gt", tokens: "lexical", merge: "none" }));
  const rows = methods.rows.filter(({ note }) => note === undefined);
  const progress = createProgress();
  const made: SamplePictures[] = [];
  try {
    for (let first = 0; first < rows.length; first += AT_ONCE) {
      signal.throwIfAborted();
      progress.update("pictures of the samples", first, rows.length);
      const some = rows.slice(first, first + AT_ONCE);
      const maps = await mapsFromMeans(gpu, await readAll(meansFolder, some, "gt", steps), { ...draw, merges: ["mixture", "none"] });
      const alone = await mapsFromMeans(gpu, await readAll(meansFolder, some, "cfg", steps), { ...draw, merges: ["none"] });
      for (const [i, { sample, image, phrase, label }] of some.entries()) {
        const film = await readFilm(data.samples[sample].imagePath);
        const { boxes } = data.samples[sample];
        const names = ["BBM", "before merging", "P_txt alone"];
        const pictures = await Promise.all([...maps[i], ...alone[i]].map(async (map, m) => ({ name: names[m], url: await mapUrl(film, map, imageSize, boxes) })));
        made.push({ image, phrase, label, pictures, merged: merged.get(sample) as RowMetrics, plain: plain.get(sample) as RowMetrics });
      }
    }
    return made;
  } finally {
    progress.stop();
  }
}

function bySample(rows: readonly { readonly sample: number; readonly metrics: RowMetrics }[]): Map<number, RowMetrics> {
  return new Map(rows.map(({ sample, metrics }) => [sample, metrics]));
}

async function readAll(folder: string, rows: readonly { readonly sample: number }[], mode: "gt" | "cfg", steps: number): Promise<TargetMeans[]> {
  return Promise.all(rows.map(async ({ sample }) => (await readMeansFile(meansPath(folder, { sample, mode, steps }))).means));
}

// --- figure 2 --------------------------------------------------------------------------------------------------------

async function wordPictures({ session, data, meansFolder, settings, signal }: PictureSources, samples: readonly number[]): Promise<WordMaps[]> {
  const { pipeline } = session;
  const made: WordMaps[] = [];
  for (const sample of samples) {
    const { film, boxes, label, phrase } = await sampleFilm(data, sample);
    const { words, side, imageSize } = await pipeline.ground(film, phrase, { ...settings, merge: "none", perWord: true, signal });
    const [means] = await readAll(meansFolder, [{ sample }], "gt", settings.steps);
    const start = startTokenMap(means);
    const draw = async (name: string, map: DrawnMap | undefined, quiet = false) => ({ name, quiet, url: map ? await mapUrl(film, { ...map, mask: [] }, imageSize, boxes) : await filmUrl(film, boxes, imageSize) });
    made.push({
      phrase, label,
      pictures: await Promise.all([draw("film", undefined), ...(start ? [draw("start token (P_img)", start)] : []), ...words.map(({ text, kept, map }) => draw(kept ? text : `${text} (left out)`, drawn(map, side), !kept))]),
    });
  }
  return made;
}

// --- figure 3 --------------------------------------------------------------------------------------------------------

const controlNames = { "wrong-phrase": "wrong phrase", "class-word": "class word", "other-film": "over another film" } as const satisfies Partial<Record<RowKind, string>>;

async function methodPictures(sources: PictureSources, samples: readonly number[]): Promise<MethodMaps[]> {
  const { session, data, methods, meansFolder, draw, settings, others } = sources;
  const { gpu, vae } = session.pipeline.ldm;
  const imageSize = vae.config.sampleSize;
  const metricsOf = (mode: "gt" | "cfg", merge: "none" | "mixture") => bySample(rowsWhere(methods, { mode, tokens: "lexical", merge }));
  const [plain, merged, alone] = [metricsOf("gt", "none"), metricsOf("gt", "mixture"), metricsOf("cfg", "none")];
  const made: MethodMaps[] = [];
  for (const sample of samples) {
    const { film, boxes, label, phrase } = await sampleFilm(data, sample);
    const add = async (name: string, map: DrawnMap, metrics: RowMetrics | undefined) => ({ name, metrics, url: await mapUrl(film, map, imageSize, boxes) });
    const [[own, bbm]] = await mapsFromMeans(gpu, await readAll(meansFolder, [{ sample }], "gt", settings.steps), { ...draw, merges: ["none", "mixture"] });
    const [[text]] = await mapsFromMeans(gpu, await readAll(meansFolder, [{ sample }], "cfg", settings.steps), { ...draw, merges: ["none"] });
    const theirs: PagePicture[] = [];
    for (const { name, mapOf, missing } of others) theirs.push(mapOf ? await add(name, await mapOf(film, sample, phrase), undefined) : { name: `${name}: ${missing}`, url: blank });
    made.push({
      phrase, label,
      pictures: [
        { name: "film", url: await filmUrl(film, boxes, imageSize) }, ...theirs,
        await add("this model", own, plain.get(sample)), await add("+ BBM", bbm, merged.get(sample)),
        ...(await controlPictures(sources, sample)), await add("P_txt alone", text, alone.get(sample)),
      ],
    });
  }
  return made;
}

/** The maps of a sample's controls, over the films whose boxes they were measured against. */
async function controlPictures({ session, data, controls, settings, signal }: PictureSources, sample: number): Promise<MethodMaps["pictures"]> {
  const made: (PagePicture & { metrics: RowMetrics })[] = [];
  for (const kind of Object.keys(controlNames) as (keyof typeof controlNames)[]) {
    const row = controls.find((each) => each.sample === sample && each.kind === kind);
    if (!row) continue;
    const own = await sampleFilm(data, sample);
    const { sample: other, boxes } = measuredBoxes(row, data);
    const below = await sampleFilm(data, other);
    const { map, mask, side, imageSize } = await session.pipeline.ground(own.film, row.text, { ...settings, signal });
    made.push({ name: `${controlNames[kind]}: ${row.text}`, url: await mapUrl(below.film, { map, mask, side }, imageSize, boxes), metrics: row.metrics });
  }
  return made;
}

/**
 * A sample of the film whose boxes a row was measured against, and these boxes. A row of an earlier version names the film
 * alone: where that has several samples, their boxes are not told apart, and there are none.
 */
export function measuredBoxes(row: Pick<EvalRow, "sample" | "boxesOf" | "truth">, { samples, imageName }: EvalData): { sample: number; boxes: readonly Box[] } {
  const known = row.truth ?? (row.boxesOf === undefined ? row.sample : undefined);
  if (known !== undefined) return { sample: known, boxes: samples[known].boxes };
  const ofFilm = [...samples.keys()].filter((i) => imageName(samples[i]) === row.boxesOf);
  return { sample: ofFilm[0], boxes: ofFilm.length === 1 ? samples[ofFilm[0]].boxes : [] };
}

/** A method of figure 3 whose means are those of a sweep. */
export function sweptMethod(name: string, folder: string, { session: { pipeline }, draw, settings }: Pick<PictureSources, "session" | "draw" | "settings">): OtherMethod {
  return {
    name, missing: "",
    async mapOf(_film, sample) {
      const [[map]] = await mapsFromMeans(pipeline.ldm.gpu, await readAll(join(folder, "means"), [{ sample }], "gt", settings.steps), { ...draw, merges: ["none"] });
      return map;
    },
  };
}

// --- pictures --------------------------------------------------------------------------------------------------------

/** An empty grey square, in place of a map that is not computed. */
const blank = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'%3E%3Crect width='1' height='1' fill='%23777' fill-opacity='.3'/%3E%3C/svg%3E";

async function sampleFilm({ samples }: EvalData, sample: number): Promise<{ film: Film; boxes: readonly Box[]; label: string; phrase: string }> {
  const { imagePath, boxes, label, caption }: DataSample = samples[sample];
  return { film: await readFilm(imagePath), boxes, label, phrase: firstAlternative(caption) };
}

function mapUrl(film: Film, { map, mask, side }: DrawnMap, imageSize: number, boxes: readonly Box[]): Promise<string> {
  return pictureUrl(overlay(film, map, side, planPreprocess(film.width, film.height, imageSize), { boxes, ...(mask.length > 0 ? { outline: mask } : {}) }));
}

/** The film with its boxes alone. */
function filmUrl(film: Film, boxes: readonly Box[], imageSize: number): Promise<string> {
  return pictureUrl(overlay(film, [0], 1, planPreprocess(film.width, film.height, imageSize), { alpha: 0, boxes }));
}

function pictureUrl({ width, height, data }: Picture): Promise<string> {
  return thumbnail(sharp(data, { raw: { width, height, channels: 4 }, limitInputPixels: false }), PICTURE_SIDE);
}
