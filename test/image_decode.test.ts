import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, extname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeFilm, readFilm } from "../src/data/decode_node.ts";
import type { Film } from "../src/data/film.ts";
import { InputError } from "../src/errors.ts";
import { needsShared, sharedPath } from "./shared.ts";

const FOLDER = fileURLToPath(new URL("./films/", import.meta.url));
const FILES = readdirSync(FOLDER).filter((file) => [".dcm", ".png", ".jpg"].includes(extname(file)));
const GOOD = FILES.filter((file) => !file.startsWith("bad_"));

test("every format, transfer syntax and value transform gives the pixels that other software gives", async (t) => {
  for (const file of GOOD) {
    await t.test(file, async () => {
      const film = await readFilm(FOLDER + file);
      const expected = await readFilm(`${FOLDER}expected/${basename(file, extname(file))}.png`);
      assert.deepEqual([film.width, film.height, film.channels], [expected.width, expected.height, expected.channels]);
      // Lossless coding leaves no room for a difference; JPEG decoders of another make differ by a grey level.
      assert.ok(largestDifference(film.data, expected.data) <= (file.startsWith("jpeg") && !file.includes("lossless") ? 1 : 0));
    });
  }
});

test("pixels that are not square are noted without their aspect", async () => {
  assert.deepEqual((await readFilm(`${FOLDER}not_square.dcm`)).notes, ["pixels are not square; shapes are drawn as stored"]);
  assert.deepEqual((await readFilm(`${FOLDER}explicit_little_u12.dcm`)).notes, []);
});

test("every file that was cut short is refused", async () => {
  for (const file of GOOD) {
    const bytes = readFileSync(FOLDER + file);
    // The last 8 bytes of an encapsulated DICOM image only say that there are no more: a file without them is whole.
    const trailer = file.endsWith(".dcm") ? 9 : 1;
    const lengths = [1, 7, 100, 131, 140, ...[0.3, 0.5, 0.7, 0.9].map((part) => Math.floor(bytes.length * part)), bytes.length - trailer];
    for (const length of lengths) await assertRefused(decodeFilm(bytes.subarray(0, length), file), `${file} cut to ${length}`);
  }
});

test("damage in the middle of compressed pixels never ends the process nor spoils the next image", async () => {
  for (const file of GOOD) {
    const bytes = readFileSync(FOLDER + file);
    for (let k = 0; k < 4; k++) {
      const damaged = Uint8Array.from(bytes);
      damaged.fill(0xa5 + k, bytes.length - 200 * (k + 1), bytes.length - 200 * (k + 1) + 24);
      await decodeFilm(damaged, file).catch((error: unknown) => assert.ok(error instanceof InputError, String(error)));
    }
  }
  const film = await readFilm(`${FOLDER}jpeg_ls_u12.dcm`);
  assert.deepEqual(film.data, (await readFilm(`${FOLDER}explicit_little_u12.dcm`)).data);
});

const REFUSALS: Record<string, RegExp> = {
  "bad_no_pixels.dcm": /without pixels/,
  "bad_short_pixels.dcm": /damaged or truncated DICOM/,
  "bad_too_wide.dcm": /larger than 16,384 pixels on a side; scale it down/,
  "bad_two_frames.dcm": /more than one frame; save the frame/,
  "bad_video_syntax.dcm": /compression that is not supported; decompress/,
  "bad_zero_rows.dcm": /width or height is zero/,
  "bad_png_too_wide.png": /larger than 16,384 pixels on a side; scale it down/,
  "bad_png_zero_width.png": /width or height is zero/,
  "bad_png_checksum.png": /damaged or truncated PNG/,
  "bad_png_interlaced_grey4.png": /save it without interlacing/,
  "bad_jpeg_12_bit.jpg": /more than 8 bits/,
  "bad_text.png": /not a PNG, JPEG or DICOM image/,
  "bad_empty.png": /empty \(0 bytes\)/,
};

test("files that cannot be used are refused in one line that names them", async () => {
  assert.deepEqual(FILES.filter((file) => file.startsWith("bad_")).sort(), Object.keys(REFUSALS).sort());
  for (const [file, expected] of Object.entries(REFUSALS)) {
    const error = await assertRefused(readFilm(FOLDER + file), file);
    assert.match(error.message, expected);
    assert.ok(error.message.startsWith(FOLDER + file));
  }
  assert.match((await assertRefused(readFilm(`${FOLDER}absent.png`), "absent")).message, /absent\.png: no such file; check the path$/);
  assert.match((await assertRefused(readFilm(FOLDER), "folder")).message, /is a folder/);
});

test("nothing of a file's headers comes out in films, errors or logs", async (t) => {
  const printed: unknown[] = [];
  for (const method of ["log", "info", "warn", "error", "debug", "trace"] as const) {
    t.mock.method(console, method, (...parts: unknown[]) => void printed.push(parts));
  }
  for (const file of FILES) {
    const bytes = readFileSync(FOLDER + file);
    for (const length of [bytes.length, bytes.length - 20, 400, 200]) {
      const outcome = await decodeFilm(bytes.subarray(0, length), file).catch((error: Error) => [error.message, error.stack, error.cause]);
      assert.ok(!JSON.stringify(withoutPixels(outcome)).toLowerCase().includes("secret"), file);
    }
  }
  assert.deepEqual(printed, []);
});

/** The shared radiographs as Pillow, or pydicom with Pillow, decodes them: seven pixels spread evenly, and the mean. */
const RADIOGRAPHS: Record<string, { size: [number, number]; pixels: number[]; mean: number }> = {
  "nih_00000001_000.png": { size: [512, 512], pixels: [198, 85, 38, 169, 197, 152, 179], mean: 128.1362 },
  "nih_00027426_000.png": { size: [512, 512], pixels: [185, 106, 85, 53, 198, 170, 190], mean: 127.3929 },
  "tbx_tb0005.png": { size: [512, 512], pixels: [131, 158, 87, 189, 201, 192, 200], mean: 146.4268 },
  "tbx_tb0007.png": { size: [512, 512], pixels: [141, 77, 200, 115, 225, 183, 214], mean: 133.8552 },
  "jpeg_1036x885.jpg": { size: [1036, 885], pixels: [3, 197, 229, 92, 171, 181, 220], mean: 179.3008 },
  "rsna_512.dcm": { size: [1024, 1024], pixels: [0, 178, 188, 204, 210, 189, 198], mean: 161.1408 },
  "rg3_jpeg2000.dcm": { size: [1760, 1760], pixels: [255, 148, 255, 24, 192, 255, 47], mean: 177.497 },
  "uncompressed_16bit.dcm": { size: [256, 1024], pixels: [28, 26, 83, 39, 29, 44, 28], mean: 40.3701 },
};

test("real radiographs decode as elsewhere", needsShared("images"), async (t) => {
  for (const [file, expected] of Object.entries(RADIOGRAPHS)) {
    await t.test(file, async () => {
      const { width, height, data } = await readFilm(sharedPath(`images/${file}`)!);
      assert.deepEqual([width, height], expected.size);
      const step = Math.floor(data.length / 7);
      assert.ok(largestDifference(expected.pixels.map((_, i) => data[i * step]), expected.pixels) <= (file.endsWith(".jpg") ? 1 : 0));
      const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
      assert.ok(Math.abs(mean - expected.mean) < (file.endsWith(".jpg") ? 0.01 : 1e-4), `mean ${mean}`);
    });
  }
});

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

/** The error of a promise that must fail with an InputError of one line. */
async function assertRefused(result: Promise<Film>, what: string): Promise<InputError> {
  const outcome = await result.catch((error: unknown) => error);
  assert.ok(outcome instanceof InputError, `${what}: ${outcome instanceof Error ? outcome.stack : "was accepted"}`);
  assert.ok(!outcome.message.includes("\n"), what);
  return outcome;
}

function withoutPixels(outcome: Film | unknown[]): unknown {
  return Array.isArray(outcome) ? outcome : { ...outcome, data: undefined };
}
