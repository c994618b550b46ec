import sharp, { type Sharp } from "sharp";

/** A data URL of a picture, shrunk to a longer side of `side` pixels. `file`: the picture's path, or one that was opened. */
export async function thumbnail(file: string | Sharp, side: number): Promise<string> {
  const image = typeof file === "string" ? sharp(file) : file;
  const bytes = await image.resize(side, side, { fit: "inside", withoutEnlargement: true }).webp({ quality: 85 }).toBuffer();
  return `data:image/webp;base64,${bytes.toString("base64")}`;
}
