import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readFilm } from "../src/data/decode_node.ts";
import { boxMask, planPreprocess, planResizeCrop, transformBoxes, type Box, type PreprocessPlan } from "../src/data/preprocess.ts";
import { resizeBilinear } from "../src/data/resize.ts";
import { openFile } from "../src/weights/byte_source_node.ts";
import { readTensor } from "../src/weights/checkpoint.ts";
import { openSafetensors } from "../src/weights/safetensors.ts";
import { interpolateReference, resizeBilinearReference } from "./reference_resize.ts";
import { needsShared, sharedPath } from "./shared.ts";

interface GoldenCase {
  name: string;
  size_hw: [height: number, width: number];
  resized_hw: [height: number, width: number];
  boxes: Box[];
  mean: number;
  std: number;
  boxmask_sum: number;
}

const SIZE = 512;
/** The goldens keep every 73rd row and column. */
const KEPT = Array.from({ length: Math.ceil(SIZE / 73) }, (_, i) => 73 * i);

test("preprocessing agrees with torchvision's resize and centre crop", needsShared("goldens/image.safetensors"), async (t) => {
  const { cases } = JSON.parse(readFileSync(sharedPath("goldens/image.json")!, "utf8")) as { cases: GoldenCase[] };
  const golden = await openSafetensors(await openFile(sharedPath("goldens/image.safetensors")!));
  const floats = async (name: string) => new Float32Array((await readTensor(golden, golden.tensors.get(name)!)).slice().buffer);
  for (const expected of cases) {
    await t.test(expected.name, async () => {
      const channels = await inputChannels(expected.name);
      const [height, width] = expected.size_hw;
      const plan = planPreprocess(width, height, SIZE);
      assert.deepEqual([plan.resizedHeight, plan.resizedWidth], expected.resized_hw);

      const images = channels.map((channel) => preprocessReference(channel, plan));
      // JPEG decoders differ by a grey level, 2 / 255, here and there.
      const isJpeg = expected.name.endsWith(".jpg");
      const bound = isJpeg ? 2 / 255 : 1e-5;
      assertNear(images.flatMap((image) => KEPT.flatMap((y) => [...image.subarray(y * SIZE, (y + 1) * SIZE)])), await floats(`${expected.name}.rows`), bound);
      assertNear(images.flatMap((image) => Array.from({ length: SIZE }, (_, y) => KEPT.map((x) => image[y * SIZE + x])).flat()), await floats(`${expected.name}.cols`), bound);
      const { mean, std } = moments(images.flatMap((image) => [...image]));
      assertNear([mean, std], [expected.mean, expected.std], isJpeg ? 1e-4 : 1e-5);

      // torchvision finds a pixel's centre in float32, which at 1000 is 6e-5 coarse: as much in a weight at a box's edge.
      const mask = boxMask(expected.boxes, plan);
      assertNear(KEPT.flatMap((y) => [...mask.subarray(y * SIZE, (y + 1) * SIZE)]), await floats(`${expected.name}.boxmask.rows`), 6e-5);
      assertNear([mask.reduce((sum, value) => sum + value, 0) / expected.boxmask_sum], [1], 1e-5);
    });
  }
});

test("crop offsets round halves to even, and padding puts the odd pixel at the right and bottom", () => {
  const offsets = (width: number, height: number) => {
    const { cropLeft, cropTop } = planPreprocess(width, height, 512);
    return [cropLeft, cropTop];
  };
  assert.deepEqual(offsets(513, 512), [0, 0]); // half a pixel
  assert.deepEqual(offsets(515, 512), [2, 0]); // one and a half
  assert.deepEqual(offsets(517, 512), [2, 0]); // two and a half
  assert.deepEqual(offsets(401, 300), [-55, -106]);
});

test("a film of one pixel's width is planned and masked without its resized image ever being made", () => {
  const plan = planPreprocess(1, 16_384, 512);
  assert.deepEqual([plan.resizedWidth, plan.resizedHeight, plan.cropLeft], [512, 512 * 16_384, 0]);
  const mask = boxMask([[0, 0, 1, 16_384]], plan);
  assert.ok(mask.every((value) => value === 1));
});

test("boxes move with the film and are clipped to what the model sees", () => {
  const plan = planPreprocess(1024, 2048, 512); // scaled by a half, 256 pixels cut off above and below
  assert.deepEqual(transformBoxes([[100, 600, 200, 300], [0, 0, 1024, 600], [10, 0, 10, 100]], plan), [
    [50, 44, 100, 150],
    [0, 0, 512, 44],
    [5, 0, 5, 0],
  ]);
});

test("overlapping boxes and boxes beyond the film make a mask of 0 and 1", () => {
  const plan = planPreprocess(64, 64, 64);
  const mask = boxMask([[-10, -10, 20, 20], [5, 5, 10, 10], [60, 60, 100, 100], [200, 200, 5, 5]], plan);
  assert.equal(mask.reduce((sum, value) => sum + value, 0), 100 + 100 - 25 + 16);
});

test("the CPU resize agrees with its formula, up and down", () => {
  const from = { width: 23, height: 17 };
  const image = Float32Array.from({ length: 23 * 17 }, (_, i) => Math.sin(i * 1.7));
  for (const to of [{ width: 23, height: 17 }, { width: 5, height: 40 }, { width: 61, height: 3 }, { width: 1, height: 1 }]) {
    assertNear(resizeBilinear(image, from, to), resizeBilinearReference(image, from, to), 1e-6);
    const window = { left: -2, top: 1, width: 9, height: 5 };
    assertNear(resizeBilinear(image, from, to, { window }), resizeBilinearReference(image, from, to, window), 1e-6);
    assertNear(resizeBilinear(image, from, to, { antialias: false }), interpolateReference(image, from, to), 1e-6);
  }
});

test("a resize of the shorter side enlarges as well, and the crop may be smaller than it", () => {
  const plan = (width: number, height: number) => {
    const { resizedWidth, resizedHeight, cropLeft, cropTop, size } = planResizeCrop(width, height, 512, 480);
    return [resizedWidth, resizedHeight, cropLeft, cropTop, size];
  };
  assert.deepEqual(plan(1024, 2048), [512, 1024, 16, 272, 480]);
  assert.deepEqual(plan(300, 200), [768, 512, 144, 16, 480]);
});

/** The channels of a golden's input, 8-bit: a shared film, or the wave that its name describes. */
async function inputChannels(name: string): Promise<Uint8Array[]> {
  const wave = /^wave(\d+)_(\d+)x(\d+)$/.exec(name);
  if (wave) {
    const [phase, height, width] = wave.slice(1).map(Number);
    const pixel = (i: number) => Math.round(127 + 60 * Math.sin((i % width) / 17 + phase) + 60 * Math.cos(Math.floor(i / width) / 23));
    return [Uint8Array.from({ length: height * width }, (_, i) => pixel(i))];
  }
  const { channels, data, width, height } = await readFilm(sharedPath(`images/${name}`)!);
  const channel = (c: number) => Uint8Array.from({ length: width * height }, (_, i) => data[i * channels + c]);
  return channels === 3 ? [0, 1, 2].map(channel) : [0, 0, 0].map(channel);
}

/** x / 127.5 - 1, resized by the reference formula, cropped or padded with 0. */
function preprocessReference(channel: Uint8Array, plan: PreprocessPlan): Float64Array {
  const from = { width: plan.width, height: plan.height };
  const to = { width: plan.resizedWidth, height: plan.resizedHeight };
  const window = { left: plan.cropLeft, top: plan.cropTop, width: plan.size, height: plan.size };
  return resizeBilinearReference(Float64Array.from(channel, (value) => value / 127.5 - 1), from, to, window);
}

function moments(values: readonly number[]): { mean: number; std: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: Math.sqrt(squares / (values.length - 1)) };
}

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number): void {
  assert.equal(actual.length, expected.length);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
  assert.ok(worst <= bound, `largest difference ${worst}, at most ${bound} allowed`);
}
