import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { convertWeights, inspectWeights } from "../src/cli/weights.ts";
import { InputError, WeightsError } from "../src/errors.ts";
import { guessArchitecture } from "../src/weights/architecture.ts";
import { openFile, openFolder } from "../src/weights/byte_source_node.ts";
import { f16ToF32, f32ToBf16, f32ToF16 } from "../src/float16.ts";
import type { CheckpointSummary } from "../src/weights/inspect.ts";
import { formatBytes } from "../src/weights/inspect.ts";
import { openCheckpoint, openCheckpointSource } from "../src/weights/open_checkpoint.ts";
import { currentAttentionName } from "../src/weights/rename.ts";
import { needsShared, sharedPath } from "./shared.ts";
import { floats, pickle, readAll, safetensorsFile, temporaryFolder, torchZip } from "./weights_files.ts";

/** The tensors of a file on the disk. */
async function tensorsOf(path: string) {
  const checkpoint = await openCheckpointSource(await openFile(path));
  const tensors = await readAll(checkpoint);
  await checkpoint.close();
  return { tensors, metadata: checkpoint.metadata };
}

/** A safetensors file on the disk with one-dimensional F32 tensors. */
async function writeTensors(path: string, tensors: Record<string, number[]>): Promise<void> {
  let begin = 0;
  const header = Object.fromEntries(Object.entries(tensors).map(([name, values]) => {
    const end = begin + 4 * values.length;
    const description = { dtype: "F32", shape: [values.length], data_offsets: [begin, end] };
    begin = end;
    return [name, description];
  }));
  await writeFile(path, safetensorsFile(header, floats(...Object.values(tensors).flat())));
}

for (const file of ["plain.bin", "legacy.bin", "lightning.ckpt"]) {
  test(`golden ${file} becomes the safetensors file that is expected`, needsShared("goldens/checkpoints"), async (t) => {
    const output = join(await temporaryFolder(t), "out.safetensors");
    const { json } = await convertWeights(sharedPath(`goldens/checkpoints/${file}`)!, output, file === "lightning.ckpt" ? { prefixStrip: "text_encoder." } : {});
    const { tensors, metadata } = await tensorsOf(output);
    const expected = await tensorsOf(sharedPath("goldens/checkpoints/expected.safetensors")!);
    assert.deepEqual([...tensors.entries()], [...expected.tensors.entries()]);
    assert.deepEqual(metadata, { format: "pt" });
    assert.equal((json as { tensors: number }).tensors, 11);
  });
}

test("--dtype converts floats, rounding to nearest even, and leaves integers", needsShared("goldens/checkpoints"), async (t) => {
  const folder = await temporaryFolder(t);
  const input = sharedPath("goldens/checkpoints/plain.bin")!;
  const source = (await tensorsOf(sharedPath("goldens/checkpoints/expected.safetensors")!)).tensors;
  const f32 = [...new Float32Array(source.get("f32")!.bytes.buffer)];
  for (const [dtype, toHalf] of [["f16", f32ToF16], ["bf16", f32ToBf16]] as const) {
    await convertWeights(input, join(folder, `${dtype}.safetensors`), { dtype });
    const { tensors } = await tensorsOf(join(folder, `${dtype}.safetensors`));
    assert.deepEqual([...new Uint16Array(tensors.get("f32")!.bytes.buffer)], f32.map(toHalf));
    assert.equal(tensors.get("f32")!.dtype, dtype.toUpperCase());
    for (const name of ["i64", "u8", "bool", dtype]) assert.deepEqual(tensors.get(name), source.get(name), name);
  }
  await convertWeights(input, join(folder, "f32.safetensors"), { dtype: "f32" });
  const widened = (await tensorsOf(join(folder, "f32.safetensors"))).tensors.get("f16")!;
  assert.deepEqual([...new Float32Array(widened.bytes.buffer)], [...new Uint16Array(source.get("f16")!.bytes.buffer)].map(f16ToF32));
});

test("tensors larger than a piece are converted whole", async (t) => {
  const folder = await temporaryFolder(t);
  const values = Float32Array.from({ length: 3_000_001 }, (_, index) => index % 2048);
  await writeFile(join(folder, "in.safetensors"), safetensorsFile({ a: { dtype: "F32", shape: [values.length], data_offsets: [0, values.byteLength] } }, new Uint8Array(values.buffer)));
  await convertWeights(join(folder, "in.safetensors"), join(folder, "out.safetensors"), { dtype: "f16" });
  const halves = new Uint16Array((await tensorsOf(join(folder, "out.safetensors"))).tensors.get("a")!.bytes.buffer);
  assert.equal(halves.length, values.length);
  assert.ok(halves.every((half, index) => f16ToF32(half) === values[index]));
});

test("a value beyond the range of the new dtype is an error that names it, and nothing is left behind", async (t) => {
  const folder = await temporaryFolder(t);
  await writeTensors(join(folder, "in.safetensors"), { small: [1], "encoder.large": [70000] });
  await assert.rejects(convertWeights(join(folder, "in.safetensors"), join(folder, "out.safetensors"), { dtype: "f16" }), (error: Error) =>
    error instanceof WeightsError && /in\.safetensors: tensor "encoder\.large" holds 70000, beyond the range of F16/.test(error.message));
  assert.deepEqual(await readdir(folder), ["in.safetensors"]);
});

test("--prefix-strip takes a prefix off, and refuses one that no name has and names that would collide", async (t) => {
  const folder = await temporaryFolder(t);
  const [input, output] = [join(folder, "in.safetensors"), join(folder, "out.safetensors")];
  await writeTensors(input, { "model.a": [1], "model.b": [2], c: [3] });
  await convertWeights(input, output, { prefixStrip: "model." });
  assert.deepEqual([...(await tensorsOf(output)).tensors.keys()], ["a", "b", "c"]);
  await assert.rejects(convertWeights(input, output, { prefixStrip: "unet." }), /--prefix-strip: no tensor of .* begins with "unet\."/);
  await writeTensors(input, { "model.a": [1], a: [2] });
  await assert.rejects(convertWeights(input, output, { prefixStrip: "model." }), /"model\.a" and "a" would both be called "a"/);
});

test("old VAE attention names get their present ones; a BERT's query stays", async (t) => {
  const names = {
    "encoder.mid_block.attentions.0.query.weight": "encoder.mid_block.attentions.0.to_q.weight",
    "encoder.mid_block.attentions.0.key.bias": "encoder.mid_block.attentions.0.to_k.bias",
    "decoder.mid_block.attentions.0.value.weight": "decoder.mid_block.attentions.0.to_v.weight",
    "decoder.mid_block.attentions.0.proj_attn.bias": "decoder.mid_block.attentions.0.to_out.0.bias",
    "decoder.mid_block.attentions.0.group_norm.weight": "decoder.mid_block.attentions.0.group_norm.weight",
    "encoder.layer.0.attention.self.query.weight": "encoder.layer.0.attention.self.query.weight",
  };
  for (const [old, present] of Object.entries(names)) {
    assert.equal(currentAttentionName(old), present);
    assert.equal(currentAttentionName(present), present);
  }
  const folder = await temporaryFolder(t);
  await writeTensors(join(folder, "in.safetensors"), Object.fromEntries(Object.keys(names).map((name, index) => [name, [index]])));
  await convertWeights(join(folder, "in.safetensors"), join(folder, "out.safetensors"), { renameVaeAttention: true });
  const { tensors } = await tensorsOf(join(folder, "out.safetensors"));
  Object.values(names).forEach((name, index) => assert.deepEqual(tensors.get(name)?.bytes, floats(index), name));
});

test("conversion is the same byte for byte each time, and keeps metadata", async (t) => {
  const folder = await temporaryFolder(t);
  const header = { __metadata__: { format: "np", note: "x" }, a: { dtype: "F32", shape: [], data_offsets: [0, 4] } };
  await writeFile(join(folder, "in.safetensors"), safetensorsFile(header, floats(1)));
  const outputs = [join(folder, "1.safetensors"), join(folder, "2.safetensors")];
  for (const output of outputs) await convertWeights(join(folder, "in.safetensors"), output);
  assert.deepEqual(await readFile(outputs[0]), await readFile(outputs[1]));
  assert.deepEqual((await tensorsOf(outputs[0])).metadata, { format: "np", note: "x" });
});

test("options that make no sense are refused by name", async (t) => {
  const folder = await temporaryFolder(t);
  await writeTensors(join(folder, "in.safetensors"), { a: [1] });
  const convert = (output: string, dtype?: string) => convertWeights(join(folder, "in.safetensors"), join(folder, output), { dtype });
  await assert.rejects(convert("out.bin"), /end the name in \.safetensors/);
  await assert.rejects(convert("out.safetensors", "f8"), (error: Error) => error instanceof InputError && /--dtype: "f8" is not one of/.test(error.message));
  await assert.rejects(convert("out.safetensors", "toString"), /is not one of/);
  await assert.rejects(convertWeights(join(folder, "none.bin"), join(folder, "out.safetensors")), /none\.bin: no such file/);
});

test("inspect tells format, state dict, metadata, totals and every tensor", async (t) => {
  const folder = await temporaryFolder(t);
  const weight = pickle.tensor(pickle.storage("HalfStorage", "0", 6), 0, [2, 3], [3, 1]);
  const root = pickle.dict(pickle.text("epoch"), pickle.int(3), pickle.text("state_dict"), pickle.dict(pickle.text("text_encoder.embeddings.word_embeddings.weight"), weight));
  await writeFile(join(folder, "last.ckpt"), torchZip(pickle.file(root), { 0: new Uint8Array(12) }));
  const { json, text } = await inspectWeights(join(folder, "last.ckpt"));
  const [summary] = (json as { checkpoints: CheckpointSummary[] }).checkpoints;
  assert.deepEqual({ ...summary, file: "" }, {
    file: "", format: "PyTorch zip", stateDict: "state_dict", architecture: { name: "BertModel", prefix: "text_encoder." }, metadata: { epoch: "3" },
    tensors: [{ name: "text_encoder.embeddings.word_embeddings.weight", dtype: "F16", shape: [2, 3], byteLength: 12 }],
    elements: 6, bytes: 12, bytesByDtype: { F16: 12 },
  });
  assert.match(text, /format +PyTorch zip, state dict under "state_dict"/);
  assert.match(text, /architecture +BertModel, keys begin with "text_encoder\."/);
  assert.match(text, /tensors +1, 6 elements, 12 B \(F16 12 B\)/);
  assert.match(text, /metadata +epoch = "3"/);
  assert.match(text, /^text_encoder\.embeddings\.word_embeddings\.weight +F16 +\[2, 3\] +12$/m);
});

test("inspect shows every checkpoint of a model folder", needsShared("goldens/tiny_ldm"), async () => {
  const { json } = await inspectWeights(sharedPath("goldens/tiny_ldm")!);
  const architectures = (json as { checkpoints: CheckpointSummary[] }).checkpoints.map(({ architecture }) => architecture?.name);
  assert.deepEqual(architectures, ["UNet2DConditionModel", "AutoencoderKL", "CXRBertModel"]);
});

test("a folder without weights and a name with control characters do no harm", async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, "empty"));
  await assert.rejects(inspectWeights(join(folder, "empty")), /is a folder without weights/);
  await writeTensors(join(folder, "in.safetensors"), { "\x1b[2J": [1] });
  assert.doesNotMatch((await inspectWeights(join(folder, "in.safetensors"))).text, /\x1b/);
});

for (const [manifest, architecture] of [
  ["sd15_unet", "UNet2DConditionModel"], ["sd15_vae", "AutoencoderKL"], ["clip_l", "CLIPTextModel"], ["cxr_bert", "BertModel"],
  ["fid_inception", "InceptionV3"], ["xrv_densenet121", "DenseNet"], ["biovil_image", "ResNet"],
] as const) {
  test(`the keys of ${manifest} are those of ${architecture}`, needsShared(`goldens/full/${manifest}.manifest.json`), async () => {
    const shapes = JSON.parse(await readFile(sharedPath(`goldens/full/${manifest}.manifest.json`)!, "utf8")) as Record<string, unknown>;
    assert.equal(guessArchitecture(Object.keys(shapes))?.name, architecture);
    assert.deepEqual(guessArchitecture(Object.keys(shapes).map((key) => `model.${key}`))?.name, architecture);
  });
}

test("other layouts are told too", async () => {
  assert.deepEqual(guessArchitecture(["bert.embeddings.word_embeddings.weight"]), { name: "BertModel", prefix: "bert." });
  assert.equal(guessArchitecture(["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.down.0.block.0.conv1.weight"])?.name, "Stable Diffusion in the LDM layout");
  assert.equal(guessArchitecture(["unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora.down.weight"])?.name, "LoRA");
  assert.equal(guessArchitecture(["base_model.model.mid_block.attn.to_q.lora_A.weight"])?.name, "LoRA");
  assert.equal(guessArchitecture(["explorer.weight", "x"]), undefined);
});

test("golden micro_lora and micro_unet are told apart", needsShared("goldens/micro_lora"), async () => {
  const folder = openFolder(sharedPath("goldens")!);
  for (const [file, name] of [["micro_lora/pytorch_lora_weights.safetensors", "LoRA"], ["micro_unet/diffusion_pytorch_model.safetensors", "UNet2DConditionModel"]]) {
    const checkpoint = await openCheckpoint(folder, file);
    assert.equal(guessArchitecture(checkpoint.tensors.keys())?.name, name);
    await checkpoint.close();
  }
});

test("bytes are shown in the unit that fits", () => {
  assert.deepEqual([0, 1, 1023, 1024, 1536, 2 ** 20, 3.4 * 2 ** 30].map(formatBytes), ["0 B", "1 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "3.4 GiB"]);
});
