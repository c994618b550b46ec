import { join } from "node:path";
import sharp from "sharp";
import { writeDicom } from "../data/dicom_write.ts";
import type { Picture } from "../data/draw.ts";
import type { Film } from "../data/film.ts";
import { type Box, planPreprocess } from "../data/preprocess.ts";
import { filmMask, heatPicture, maskPicture, overlay } from "../data/render.ts";
import { writeBytes, writeNpy, writePng, writeWordsPng } from "../data/write_node.ts";
import type { GroundResult } from "../grounding/result.ts";
import type { Thumbnails } from "../report/card.ts";
import type { ResultRecord } from "../report/result_record.ts";
import { writeFileAtomically } from "../weights/atomic_file_node.ts";
import { thumbnail } from "./thumbnail.ts";

/** Longer side of a picture in the report, in pixels. */
const THUMBNAIL_SIDE = 384;

/** What a result's files show besides the result. */
export interface ResultFilesOptions {
  /** Reference boxes to outline. */
  boxes: readonly Box[];
  /** Also as DICOM. */
  dicom?: boolean;
}

/** Writes the files of one result into an empty folder. Returns the pictures for the report. */
export async function writeResultFiles(folder: string, result: GroundResult, record: ResultRecord, { boxes, dicom }: ResultFilesOptions): Promise<Thumbnails> {
  const { film, map, mask, side, imageSize } = result;
  const plan = planPreprocess(film.width, film.height, imageSize);
  const path = (name: string) => join(folder, name);
  const plain = overlay(film, map, side, plan);
  const shown = boxes.length > 0 ? overlay(film, map, side, plan, { boxes }) : plain;
  await writePng(path("overlay.png"), shown);
  await writePng(path("heat.png"), heatPicture(map, side, plan));
  await writePng(path("mask.png"), maskPicture(mask, side, plan));
  if (dicom) {
    const files = await writeDicom({ overlay: shown, mask: filmMask(mask, side, plan), phrase: record.phrase, version: record.version });
    for (const [name, bytes] of Object.entries(files)) await writeBytes(path(`${name}.dcm`), bytes);
  }
  await writeNpy(path("map.npy"), map, [side, side]);
  const words = result.words.map(({ text, map: ofWord }) => ({ word: text, picture: overlay(film, ofWord, side, plan) }));
  if (words.length > 0) await writeWordsPng(path("words.png"), words);
  await writeText(path("result.json"), `${JSON.stringify(record, null, 2)}\n`);
  return {
    film: await filmThumbnail(film),
    overlay: await pictureThumbnail(plain),
    words: await Promise.all(words.map(({ picture }) => pictureThumbnail(picture))),
  };
}

/** Writes a text file, under its name only when it is complete. @throws InputError where it cannot be written */
export async function writeText(path: string, text: string): Promise<void> {
  await writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(text)));
}

function filmThumbnail({ data, width, height, channels }: Film): Promise<string> {
  return thumbnail(sharp(data, { raw: { width, height, channels }, limitInputPixels: false }), THUMBNAIL_SIDE);
}

function pictureThumbnail({ data, width, height }: Picture): Promise<string> {
  return thumbnail(sharp(data, { raw: { width, height, channels: 4 }, limitInputPixels: false }), THUMBNAIL_SIDE);
}
