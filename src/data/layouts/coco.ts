import { InputError } from "../../errors.ts";
import { diseaseWords } from "../../text/diseases.ts";
import type { TableRecord } from "./layout.ts";
import { type MsCxrPhrase, msCxrHeader } from "./ms_cxr.ts";

/** Phrases as MS-CXR's JSON file has them: the object detection format of MS COCO, with the text beside each box. */
export function msCxrCoco(phrases: readonly MsCxrPhrase[], description: string): object {
  const names = Object.keys(diseaseWords);
  const images = [...new Map(phrases.map((phrase) => [phrase.path, phrase])).values()];
  const imageIds = new Map(images.map(({ path }, i) => [path, i + 1]));
  const boxes = phrases.flatMap((phrase) => phrase.boxes.map((box) => ({ ...phrase, box })));
  return {
    info: { description },
    categories: names.map((name, i) => ({ id: i + 1, name, supercategory: "finding" })),
    images: images.map(({ path, width, height }, i) => ({ id: i + 1, file_name: path.slice(path.lastIndexOf("/") + 1), path, width, height })),
    annotations: boxes.map(({ path, category, text, box }, i) => ({
      id: i + 1,
      image_id: imageIds.get(path),
      category_id: names.indexOf(category) + 1,
      label_text: text,
      bbox: box,
      area: box[2] * box[3],
      iscrowd: 0,
    })),
  };
}

interface CocoFile {
  categories: { id: unknown; name: unknown }[];
  images: { id: unknown; file_name?: unknown; path?: unknown; width?: unknown; height?: unknown }[];
  annotations: { image_id?: unknown; category_id?: unknown; label_text?: unknown; bbox?: unknown }[];
}

/**
 * The annotations of such a file as the rows of MS-CXR's table, numbered from 1; what they lack stays empty.
 * @throws InputError where `json`, the content of `file`, is something else
 */
export function cocoRecords(file: string, json: unknown): TableRecord[] {
  const lists = ["categories", "images", "annotations"] as const;
  const missing = lists.filter((name) => !Array.isArray((json as CocoFile | null)?.[name]));
  if (missing.length > 0) throw new InputError(file, `lacks the lists of a COCO file: ${missing.join(", ")}; get the file again`);
  const { categories, images, annotations } = json as CocoFile;
  const names = new Map(categories.map(({ id, name }) => [id, name]));
  const imageOf = new Map(images.map((image) => [image.id, image]));
  const rows = annotations.map(({ image_id: imageId, category_id: categoryId, label_text: text, bbox }, i): TableRecord => {
    const { file_name: name, path, width, height } = imageOf.get(imageId) ?? {};
    const box = Array.isArray(bbox) && bbox.length === 4 ? bbox : ["", "", "", ""];
    const fields = [String(name ?? "").replace(/\.\w+$/, ""), names.get(categoryId), text, path, ...box, width, height];
    return { line: i + 1, fields: fields.map((value) => String(value ?? "")) };
  });
  return [{ line: 1, fields: msCxrHeader }, ...rows];
}
