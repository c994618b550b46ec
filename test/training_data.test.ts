import assert from "node:assert/strict";
import { readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import type { DataSample } from "../src/data/layouts/layout.ts";
import { openDataset } from "../src/data/layouts/open_node.ts";
import { readPhantomRecords } from "../src/data/layouts/read_phantom_node.ts";
import { writePhantomDataset } from "../src/data/layouts/write_phantom_node.ts";
import { phantomLabels } from "../src/data/phantom/findings.ts";
import { InputError } from "../src/errors.ts";
import { shippedModel } from "../src/cli/package.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { prepareImage } from "../src/grounding/prepare_image.ts";
import { loadModel } from "../src/models/load.ts";
import { loadLatentEncoders } from "../src/models/ldm.ts";
import { freeModel } from "../src/models/parameters.ts";
import { nodePlatform } from "../src/platform_node.ts";
import type { Tokenizer } from "../src/text/tokenizer.ts";
import { attributeTargets, maskTokenId, maskedWords } from "../src/training/encoder_training.ts";
import { fingerprint } from "../src/training/fingerprint_node.ts";
import { openLatents } from "../src/training/latent_dataset_node.ts";
import { filmImages, openModelFolder } from "../src/training/model_folder_node.ts";
import { offsetNoise } from "../src/training/denoising_loss.ts";
import { phantomAttributes } from "../src/training/phantom_attributes.ts";
import { precompute } from "../src/training/precompute_node.ts";
import { skippedSamples } from "../src/training/skipped.ts";
import { foldStandardisation, latentStatistics } from "../src/training/standardise.ts";
import { usableSamples } from "../src/training/usable_samples_node.ts";
import { sliceLast } from "../src/ops/pointwise.ts";
import { temporaryFolder } from "./cli_process.ts";
import { relativeError } from "./golden.ts";

const gpu = await testGpu();
/** Every film can be read. */
const refuse = skippedSamples("films", 0, assert.fail);
const IGNORED = 2 ** 32 - 100;
const phantom = temporaryFolder();
await writePhantomDataset(phantom, { seed: 5, size: 64, counts: { train: 6, validate: 1, test: 1, single: 1, pairs: 1 } });
const folder = join(phantom, "mimic-cxr-jpg");
const samples: DataSample[] = [];
for await (const sample of await openDataset(folder, { split: "train" })) samples.push(sample);
// A folder whose U-Net is yet to be trained.
const encodersFolder = temporaryFolder();
for (const part of ["text_encoder", "tokenizer", "vae"]) symlinkSync(join(shippedModel, part), join(encodersFolder, part));
const encoders = await loadLatentEncoders(gpu, nodePlatform, nodePlatform.openFolder(encodersFolder));

test("precomputed latents and texts are what the model computes; what is done is kept; other data is refused", async () => {
  const out = temporaryFolder();
  const broken = { ...samples[2], imagePath: join(phantom, "missing.png") };
  const given = [samples[0], samples[1], broken, { ...samples[3], caption: "left pleural effusion | cardiomegaly" }];
  const told: string[] = [];
  const options = () => ({ skipped: skippedSamples("films.csv", 0.3, (line) => told.push(line)) });
  await precompute(encoders, given, out, options());
  assert.match(told.join("\n"), new RegExp(`^films.csv:${broken.line}: .*missing.png: no such file; check the path; left out$`));

  const data = await openLatents(out);
  const [height, width, channels] = data.latentShape;
  assert.deepEqual([data.count, data.texts(2)], [3, ["left pleural effusion", "cardiomegaly"]]);
  const mean = new Float32Array(height * width * channels);
  const logvar = new Float32Array(mean.length);
  await data.readMoments(2, { mean, logvar });
  const { sampleSize } = encoders.vae.config;
  const image = prepareImage(await readFilm(samples[3].imagePath), sampleSize);
  const moments = gpu.scope("test", () => encoders.vae.encode(gpu.tensor(image, [1, sampleSize, sampleSize, 3])));
  const expected = await moments.read();
  const pick = (offset: number) => Float32Array.from({ length: mean.length }, (_, i) => expected[Math.floor(i / channels) * 2 * channels + offset + (i % channels)]);
  assert.deepEqual([mean, logvar], [pick(0), pick(channels)]);

  const text = new Float32Array(data.textShape[0] * data.textShape[1]);
  for (const [index, words, masked] of [[1, "cardiomegaly", true], [undefined, "", false]] as const) {
    await data.readText(2, index, text);
    const encoded = gpu.scope("test", () => encoders.textEncoder.encode(gpu, [encoders.tokenizer.encode(words)], { masked, dtype: "f32" }));
    assert.deepEqual(text, await encoded.read());
  }
  await data.close();

  const times = () => readdirSync(out).filter((name) => name.endsWith("safetensors")).map((name) => statSync(join(out, name)).mtimeMs);
  const before = times();
  const again = options();
  assert.deepEqual([(await precompute(encoders, given, out, again)).samples.length, again.skipped.count], [3, 1]);
  assert.deepEqual(times(), before);
  await assert.rejects(precompute(encoders, samples, out), (error) => error instanceof InputError && /plan.json: is of another run: data is/.test(error.message));
  await assert.rejects(precompute(encoders, [broken, samples[0]], temporaryFolder()), /1 of 2 samples cannot be used, more than the 0 that a share of 0.01 allows; attnscope data check lists them/);
});

test("a data set is known by what it holds, wherever it lies", () => {
  const at = (place: string) => samples.map((sample) => ({ ...sample, imagePath: join(place, relative(folder, sample.imagePath)) }));
  const known = fingerprint(samples, folder);
  assert.equal(fingerprint(at("/elsewhere/films"), "/elsewhere/films"), known);
  const [first, ...others] = samples;
  for (const changed of [{ ...first, caption: "no finding" }, { ...first, imagePath: join(folder, "other.png") }]) assert.notEqual(fingerprint([changed, ...others], folder), known);
  assert.notEqual(fingerprint(others, folder), known);
});

test("a split without samples, and films none of which can be read, are refused", async () => {
  await assert.rejects(usableSamples(folder, { split: "p19", skipShare: 1, tell: assert.fail }), (error) => error instanceof InputError && /has no sample in the split p19 that can be used/.test(error.message));
  const out = temporaryFolder();
  await assert.rejects(precompute(encoders, [{ ...samples[0], imagePath: join(phantom, "missing.png") }], out, { skipped: skippedSamples("films.csv", 1, () => undefined) }), /would hold no sample/);
  assert.equal(readdirSync(out).includes("index.json"), false);
});

test("a film that cannot be read is stood in for by the next one, told of once and counted", async () => {
  const given = [samples[0], { ...samples[1], imagePath: join(phantom, "missing.png") }, samples[2]];
  const told: string[] = [];
  const skipped = skippedSamples("films.csv", 0.4, (line) => told.push(line));
  skipped.limit(given.length);
  const images = filmImages(given, 32, skipped);
  assert.deepEqual(await images.read(1), await images.read(2));
  assert.notDeepEqual(await images.read(0), await images.read(1));
  assert.deepEqual([skipped.count, told.length], [1, 1]);
  const none = filmImages([given[1]], 32, skippedSamples("films.csv", 1, () => undefined));
  await assert.rejects(none.read(0), /holds no film that can be read/);
});

test("rows and films that cannot be used count against one share", () => {
  const told: string[] = [];
  const skipped = skippedSamples("films.csv", 0.1, (line) => told.push(line));
  skipped.leaveOut(3, "has no text");
  skipped.leaveOut(3, "has no image");
  skipped.limit(29);
  for (const line of [8, 9]) skipped.leaveOut(line, "is damaged");
  assert.equal(skipped.count, 3);
  assert.throws(() => skipped.leaveOut(10, "is damaged"), (error) => error instanceof InputError && /^films.csv: 4 of 30 samples cannot be used, more than the 3 that a share of 0.1 allows/.test(error.message));
  assert.deepEqual(told.slice(0, 2), ["films.csv:3: has no text; left out", "films.csv:3: has no image; left out"]);
});

test("latents that were not finished are refused with what to do", async () => {
  const out = temporaryFolder();
  writeFileSync(join(out, "plan.json"), "{}");
  await assert.rejects(openLatents(out), /has no index.json; make it, or finish it, with attnscope data precompute/);
});

test("words of a caption are told the attributes of their own finding, joints and ends none", async () => {
  const records = [];
  for await (const record of readPhantomRecords(folder)) records.push(record);
  const data = phantomAttributes(records);
  for (const [i, { caption, segments, findings }] of records.entries()) {
    const encoding = encoders.tokenizer.encode(caption);
    const targets = attributeTargets(encoding, data.read(i).segments);
    for (let at = 0; at < encoding.ids.length; at++) {
      const [start] = encoding.offsets[at] ?? [0, 0];
      const inside = at > 0 && at < encoding.endIndex ? segments.find((segment) => start >= segment.start && start < segment.end) : undefined;
      const label = inside && (inside.finding === null ? phantomLabels.length : phantomLabels.indexOf(findings[inside.finding].label));
      assert.equal(targets.label[at], label ?? IGNORED, `${caption}: ${encoding.tokens[at]}`);
    }
  }
});

test("masked words are the targets of their places, ends and padding are left alone", () => {
  const encoding = encoders.tokenizer.encode("left pleural effusion");
  const none = maskedWords(encoding, 4, () => false);
  assert.deepEqual([...none.ids], [...encoding.ids]);
  assert.ok(none.word.every((target) => target === IGNORED));
  const all = maskedWords(encoding, 4, () => true);
  assert.deepEqual([...all.ids].slice(0, 5), [encoding.ids[0], 4, 4, 4, encoding.ids[4]]);
  assert.deepEqual([...all.word].slice(0, 5), [IGNORED, ...encoding.ids.slice(1, 4), IGNORED]);
});

test("a tokenizer must have a token of its own for masked words", () => {
  assert.equal(encoders.tokenizer.encode("[MASK] effusion").ids[1], maskTokenId(encoders.tokenizer));
  const reading = (...pieces: string[]): Tokenizer => ({
    length: 8,
    encode: () => ({ ids: new Int32Array(8), attentionMask: new Int32Array(8), tokens: ["[CLS]", ...pieces, "[SEP]"], offsets: [], startIndex: 0, endIndex: pieces.length + 1 }),
  });
  for (const pieces of [["[", "mask", "]"], ["[UNK]"], []]) {
    assert.throws(() => maskTokenId(reading(...pieces)), (error) => error instanceof InputError && /reads \[MASK\] as .*, not as one token/.test(error.message), pieces.join(" "));
  }
});

test("noise is shifted by one number a channel and item", async () => {
  const [batch, positions, channels] = [2, 6, 3];
  const noise = gpu.tensor(Float32Array.from({ length: batch * positions * channels }, (_, i) => i), [batch, 2, 3, channels]);
  const shifts = gpu.tensor(Float32Array.from([1, 2, 3, 4, 5, 6]), [batch, channels]);
  const itemOf = gpu.tensor(Uint32Array.from({ length: batch * positions }, (_, i) => Math.floor(i / positions)), [batch * positions]);
  const shifted = await gpu.scope("test", () => offsetNoise(noise, shifts, itemOf, 0.5)).read();
  assert.deepEqual([...shifted], Array.from({ length: 36 }, (_, i) => i + 0.5 * (1 + 3 * Math.floor(i / 18) + (i % 3))));
});

test("a channel that is the same everywhere is named before the weights are changed", async () => {
  const vae = await openModelFolder(shippedModel).vae(); // without weights: reading one throws
  const mean = new Array<number>(vae.config.latentChannels).fill(0);
  for (const value of [0, 3.06e-7, NaN]) {
    const deviation = mean.map((_, c) => (c === 1 ? value : 1));
    await assert.rejects(foldStandardisation(vae, { mean, deviation }), (error) => error instanceof InputError && /channel 1 of the latents is the same everywhere .*; train the VAE longer/.test(error.message));
  }
});

test("standardised latents have mean 0 and deviation 1, and decode to the same image", async () => {
  const model = openModelFolder(shippedModel);
  const vae = await model.vae();
  const weights = await model.weights("vae");
  await loadModel(gpu, vae, weights, { dtype: "f32" });
  await weights.close();
  const data = filmImages(samples.slice(0, 3), vae.config.sampleSize, refuse);
  const channels = vae.config.latentChannels;
  const image = await data.read(0);
  const decoded = () => gpu.scope("test", () => {
    const moments = vae.encode(gpu.tensor(image, [1, data.side, data.side, 3]));
    return vae.decode(sliceLast(moments, 0, channels));
  }).read();
  const before = await decoded();
  await foldStandardisation(vae, await latentStatistics(gpu, vae, data));
  const { mean, deviation } = await latentStatistics(gpu, vae, data);
  assert.ok(mean.every((value) => Math.abs(value) < 1e-3) && deviation.every((value) => Math.abs(value - 1) < 1e-3), `${mean}; ${deviation}`);
  assert.ok(relativeError(await decoded(), before) < 1e-4);
  freeModel(vae);
});
