import { decodeFrame, type StoredSamples } from "./dicom_codecs.ts";
import { openDicom } from "./dicom_file.ts";
import { drawGrey } from "./dicom_grey.ts";
import { toEightBits, type Film } from "./film.ts";

/**
 * Decodes a DICOM image of one frame to what a viewer first shows of it.
 * Nothing of the headers but the pixels goes into the film, and no value of them into a message.
 * @param wasm where the codecs' WebAssembly file is, if not beside their script
 * @throws InputError
 */
export async function decodeDicom(bytes: Uint8Array, name: string, wasm?: string): Promise<Film> {
  const image = openDicom(bytes, name);
  const stored = await decodeFrame(image, name, wasm);
  const { rows: height, columns: width } = image.layout;
  const aspect = image.dataSet.string("x00280034");
  const notes = aspect && aspect.split("\\").map(Number).some((side, _, sides) => side !== sides[0])
    ? ["pixels are not square; shapes are drawn as stored"]
    : [];
  if (stored.layout.samplesPerPixel === 1) {
    return { name, width, height, channels: 1, data: drawGrey(stored, image.dataSet), notes };
  }
  return { name, width, height, channels: 3, data: drawColour(stored), notes };
}

/** Interleaved 8-bit RGB of a colour image. */
function drawColour({ layout, samples }: StoredSamples): Uint8Array {
  const pixels = layout.rows * layout.columns;
  const eightBits = layout.bitsStored === 8 ? Uint8Array.from(samples) : toEightBits(samples, layout.bitsStored);
  const rgb = layout.planar ? eightBits.map((_, i) => eightBits[(i % 3) * pixels + Math.floor(i / 3)]) : eightBits;
  return layout.photometric === "RGB" ? rgb : ybrToRgb(rgb);
}

/** Full-range YCbCr to RGB in the constants of ITU-R BT.601, as DICOM PS3.3 C.7.6.3.1.2 defines YBR_FULL. */
function ybrToRgb(ybr: Uint8Array): Uint8Array {
  const rgb = new Uint8ClampedArray(ybr.length);
  for (let i = 0; i < ybr.length; i += 3) {
    const [y, blue, red] = [ybr[i], ybr[i + 1] - 128, ybr[i + 2] - 128];
    rgb[i] = y + 1.402 * red;
    rgb[i + 1] = y - 0.344136 * blue - 0.714136 * red;
    rgb[i + 2] = y + 1.772 * blue;
  }
  return new Uint8Array(rgb.buffer);
}
