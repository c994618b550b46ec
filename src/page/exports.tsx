import type { Picture } from "../data/draw.ts";
import { type Box, planPreprocess } from "../data/preprocess.ts";
import { filmMask, overlay } from "../data/render.ts";
import type { ExploredMap } from "../grounding/exploration.ts";
import type { Engine, PageExploration } from "./engine.ts";
import type { ShownFilm } from "./film.ts";
import type { Reading } from "./reading.ts";
import type { PageSettings } from "./settings.ts";

/** A finished map and everything it was made of and with. */
export interface FinishedMap {
  engine: Engine;
  film: ShownFilm;
  settings: PageSettings;
  exploration: PageExploration;
  explored: ExploredMap;
  reading: Reading;
  box?: Box;
}

/** Buttons that save a map. */
export function PanelExports(finished: FinishedMap) {
  const name = fileName(finished);
  return (
    <p class="exports">
      <button type="button" onClick={async () => save(`${name}.png`, await overlayPng(finished))}>Save PNG</button>
      <button type="button" onClick={() => save(`${name}.json`, new Blob([JSON.stringify(recordOf(finished), undefined, 1)], { type: "application/json" }))}>Save JSON</button>
      <button type="button" title="secondary capture of the picture and segmentation of the mask, without a patient's data, in one archive" onClick={async () => save(`${name}-dicom.zip`, await dicomArchive(finished))}>Save DICOM</button>
    </p>
  );
}

/** Offers a file to the visitor. */
export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fileName({ film: { film }, exploration }: FinishedMap): string {
  const slug = exploration.phrase.phrase.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);
  return `${film.name.replace(/\.\w+$/, "")}__${slug || "phrase"}`;
}

/** The map over the film at its full size. */
function overlayOf({ film: { film }, exploration, explored, reading, settings, box }: FinishedMap): Picture {
  const { side, imageSize } = exploration;
  return overlay(film, explored.map, side, planPreprocess(film.width, film.height, imageSize), {
    alpha: settings.alpha,
    boxes: box ? [box] : [],
    outline: settings.showMask ? reading.mask : undefined,
  });
}

function overlayPng(finished: FinishedMap): Promise<Blob> {
  const { width, height, data } = overlayOf(finished);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.putImageData(new ImageData(data, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

async function dicomArchive(finished: FinishedMap): Promise<Blob> {
  const { film: { film }, exploration: { phrase, side, imageSize }, reading } = finished;
  const mask = filmMask(reading.mask, side, planPreprocess(film.width, film.height, imageSize));
  const { dicomZip } = await import("./dicom_zip.ts");
  return dicomZip({ overlay: overlayOf(finished), mask, phrase: phrase.phrase });
}

/** What the JSON file holds: pixels are the film's unless said otherwise. */
function recordOf({ engine, film: { film }, exploration, explored, reading, settings, box }: FinishedMap): object {
  const { model } = engine.pipeline;
  const { phrase, side, imageSize, record } = exploration;
  const { mask, mixture, threshold, peak, regions, metrics } = reading;
  return {
    image: { name: film.name, width: film.width, height: film.height, notes: film.notes },
    model: model && { name: model.name, sha256: model.sha256 },
    adapter: engine.gpu?.adapter,
    dtype: model?.dtype,
    server: record,
    phrase: phrase.phrase,
    words: phrase.choice.words.map(({ text, kept, why }, i) => ({ text, kept, why, map: explored.words[i] && [...explored.words[i]] })),
    settings,
    ssim: explored.ssim,
    s: explored.s,
    peak, mixture, threshold, regions,
    box: box && { x: box[0], y: box[1], w: box[2], h: box[3] },
    metrics,
    map: { side, imageSize, values: [...explored.map], standardError: [...explored.standardError], mask: [...mask] },
  };
}
