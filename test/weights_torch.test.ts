import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, test } from "node:test";
import { WeightsError } from "../src/errors.ts";
import { memorySource, type ByteSource } from "../src/weights/byte_source.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import type { Checkpoint } from "../src/weights/checkpoint.ts";
import { openCheckpoint, openCheckpointSource } from "../src/weights/open_checkpoint.ts";
import { needsShared, sharedPath } from "./shared.ts";
import { floats, openBytes, pickle, readAll, torchLegacy, torchZip, zipFile } from "./weights_files.ts";

const checkpoints = needsShared("goldens/checkpoints");

/** Opens a golden, which is closed after the tests. */
async function openGolden(file: string, folder = "goldens/checkpoints"): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(openFolder(sharedPath(folder)!), file);
  after(() => checkpoint.close());
  return checkpoint;
}

for (const [file, format, stateDict, prefix] of [
  ["plain.bin", "PyTorch zip", "", ""],
  ["legacy.bin", "PyTorch legacy", "", ""],
  ["lightning.ckpt", "PyTorch zip", "state_dict", "text_encoder."],
] as const) {
  test(`golden ${file} has the tensors of expected.safetensors`, checkpoints, async () => {
    const checkpoint = await openGolden(file);
    assert.equal(checkpoint.format, format);
    assert.equal(checkpoint.stateDict, stateDict);
    const [actual, expected] = [await readAll(checkpoint), await readAll(await openGolden("expected.safetensors"))];
    assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].map((name) => prefix + name).sort());
    for (const [name, tensor] of expected) assert.deepEqual(actual.get(prefix + name), tensor, name);
  });
}

test("golden lightning.ckpt keeps its plain facts as metadata", checkpoints, async () => {
  assert.deepEqual((await openGolden("lightning.ckpt")).metadata, { epoch: "3" });
});

test("golden parameter.bin has its parameter", checkpoints, async () => {
  const { tensors } = await openGolden("parameter.bin");
  assert.deepEqual([...tensors.values()], [{ name: "w", dtype: "F32", shape: [6, 10], byteLength: 240 }]);
});

test("golden evil.bin is refused by the name of what it calls, and nothing runs", checkpoints, async () => {
  await assert.rejects(openGolden("evil.bin"), (error: Error) =>
    error instanceof WeightsError && /evil\.bin: the pickle wants to call "posix\.system".*nothing was run/.test(error.message));
  assert.equal(existsSync("pwned.txt"), false);
});

for (const [file, message] of [["truncated.bin", /truncated or malformed/], ["not_a_checkpoint.bin", /is a web page/]] as const) {
  test(`golden ${file} is refused with its name and the fact`, checkpoints, async () => {
    await assert.rejects(openGolden(file), (error: Error) => error instanceof WeightsError && error.message.includes(file) && message.test(error.message));
  });
}

test("an encoder of the usual kind opens from its PyTorch file", needsShared("goldens/tiny_ldm"), async () => {
  const checkpoint = await openGolden("text_encoder/pytorch_model.bin", "goldens/tiny_ldm");
  assert.ok(checkpoint.tensors.has("bert.embeddings.word_embeddings.weight"));
  const bytes = [...(await readAll(checkpoint)).values()].reduce((sum, tensor) => sum + tensor.bytes.byteLength, 0);
  assert.ok(bytes > 250_000);
});

const weight = pickle.tensor(pickle.storage("FloatStorage", "0", 4), 0, [2, 2], [2, 1]);
const values = floats(1, 2, 3, 4);
const stateDict = pickle.dict(pickle.text("w"), weight);

test("zip64 archives and archives with a comment open", async () => {
  for (const options of [{ zip64: true }, { comment: "PK\x05\x06 and so on" }]) {
    const checkpoint = await openBytes(torchZip(pickle.file(stateDict), { 0: values }, options));
    assert.deepEqual((await readAll(checkpoint)).get("w")!.bytes, values);
  }
});

test("strided tensors are gathered, range by range", async () => {
  const numbers = Array.from({ length: 24 }, (_, index) => index);
  const transposed = pickle.tensor(pickle.storage("FloatStorage", "0", 24), 0, [4, 3, 2], [1, 4, 12]);
  const checkpoint = await openBytes(torchZip(pickle.file(pickle.dict(pickle.text("t"), transposed)), { 0: floats(...numbers) }));
  const expected = numbers.map((_, index) => Math.floor(index / 6) + 4 * (Math.floor(index / 2) % 3) + 12 * (index % 2));
  const entry = checkpoint.tensors.get("t")!;
  for (let first = 0; first < 24; first++) {
    for (let count = 0; first + count <= 24; count++) {
      assert.deepEqual(await checkpoint.read(entry, 4 * first, 4 * count), floats(...expected.slice(first, first + count)));
    }
  }
  await assert.rejects(checkpoint.read(entry, 2, 4), /are not whole elements of 4 bytes/);
});

test("a strided tensor larger than the window is gathered with few reads and little memory", async () => {
  const [rows, columns] = [2048, 1500];
  const storage = new Float32Array(rows * columns).map((_, index) => index);
  const object = pickle.file(pickle.dict(pickle.text("t"), pickle.tensor(pickle.storage("FloatStorage", "0", rows * columns), 0, [columns, rows], [1, columns])));
  let reads = 0;
  let largest = 0;
  const memory = memorySource("test.bin", torchZip(object, { 0: new Uint8Array(storage.buffer) }));
  const counted: ByteSource = {
    ...memory,
    read(offset, length, into) {
      reads++;
      largest = Math.max(largest, length);
      return memory.read(offset, length, into);
    },
  };
  const checkpoint = await openCheckpointSource(counted);
  reads = 0;
  largest = 0;
  const bytes = await checkpoint.read(checkpoint.tensors.get("t")!, 0, 4 * rows * columns);
  const gathered = new Float32Array(bytes.buffer);
  for (const [column, row] of [[0, 0], [1, 0], [0, 1], [1499, 2047], [700, 1000]]) assert.equal(gathered[column * rows + row], row * columns + column);
  assert.ok(reads <= 4, `${reads} reads`);
  assert.ok(largest <= 8 * 2 ** 20, `${largest} bytes at once`);
});

test("sizes of 1 make no difference to whether a tensor is contiguous", async () => {
  const view = pickle.tensor(pickle.storage("FloatStorage", "0", 4), 0, [1, 4, 1], [77, 1, 5]);
  const checkpoint = await openBytes(torchZip(pickle.file(pickle.dict(pickle.text("w"), view)), { 0: values }));
  assert.deepEqual(await checkpoint.read(checkpoint.tensors.get("w")!, 3, 2), values.slice(3, 5)); // bytes, not elements: stored as it is
});

test("legacy files: views of storages, as PyTorch 0.3 wrote them", async () => {
  const view = pickle.storage("FloatStorage", "7", 4, pickle.tuple(pickle.text("8"), pickle.int(1), pickle.int(3)));
  const object = pickle.file(pickle.dict(pickle.text("w"), pickle.tensor(view, 1, [2], [1])));
  const checkpoint = await openBytes(torchLegacy(object, { 7: { elements: 4, bytes: values } }));
  assert.deepEqual((await readAll(checkpoint)).get("w")!.bytes, floats(3, 4));
});

const storage7 = { 7: { elements: 4, bytes: values } };
const legacyWeight = pickle.dict(pickle.text("w"), pickle.tensor(pickle.storage("FloatStorage", "7", 4), 0, [4], [1]));
const malformedLegacy: [why: string, file: () => Uint8Array, message: RegExp][] = [
  ["another magic number", () => pickle.file(pickle.int(1), pickle.int(1)), /ends at byte .* within a pickle/],
  ["five pickles that torch.save did not write", () => Buffer.concat(Array(5).fill(pickle.file(pickle.int(1)))), /torch\.save did not write/],
  ["a storage of another size", () => torchLegacy(pickle.file(legacyWeight), { 7: { elements: 3, bytes: values } }), /has 3 elements where 4 are described/],
  ["a storage cut off", () => torchLegacy(pickle.file(legacyWeight), storage7).slice(0, -1), /reaches to byte/],
  ["no storage", () => torchLegacy(pickle.file(legacyWeight), {}), /does not list the storage "7"/],
  ["a storage nobody uses", () => torchLegacy(pickle.file(legacyWeight), { 8: storage7[7] }), /lists the storage "8"/],
  ["a view past its storage", () => torchLegacy(pickle.file(pickle.storage("FloatStorage", "7", 4, pickle.tuple(pickle.text("8"), pickle.int(2), pickle.int(3)))), storage7), /reaches past its 4 elements/],
  ["one storage described in two ways", () => torchLegacy(pickle.file(pickle.list(pickle.storage("FloatStorage", "7", 4), pickle.storage("FloatStorage", "7", 9))), storage7), /in two ways/],
];
for (const [why, file, message] of malformedLegacy) {
  test(`a legacy file with ${why} is refused`, () => assert.rejects(openBytes(file()), refusal(message)));
}

test("the state dict is found where trainers put it", async () => {
  const optimizer = pickle.dict(pickle.text("state"), weight);
  const facts = [pickle.text("epoch"), pickle.int(7), pickle.text("name"), pickle.text("x")];
  const cases: [object: Buffer, key: string][] = [
    [stateDict, ""],
    [pickle.dict(pickle.text("state_dict"), stateDict, ...facts), "state_dict"],
    [pickle.dict(pickle.text("loss"), weight, pickle.text("model_state_dict"), stateDict), "model_state_dict"],
    [pickle.dict(pickle.text("optimizer"), optimizer, pickle.text("model"), stateDict), "model"],
    [pickle.dict(...facts, pickle.text("network"), stateDict), "network"],
    [pickle.call(pickle.global("collections", "OrderedDict"), pickle.list(pickle.list(pickle.text("w"), weight))), ""],
  ];
  for (const [object, key] of cases) {
    const checkpoint = await openBytes(torchZip(pickle.file(object), { 0: values }));
    assert.equal(checkpoint.stateDict, key);
    assert.deepEqual([...checkpoint.tensors.keys()], ["w"]);
  }
  const two = torchZip(pickle.file(pickle.dict(pickle.text("ema"), stateDict, pickle.text("raw"), stateDict)), { 0: values });
  await assert.rejects(openBytes(two), /has the state dicts \["ema", "raw"\]; say which/);
  assert.equal((await openBytes(two, { stateDict: "raw" })).stateDict, "raw");
  await assert.rejects(openBytes(two, { stateDict: "other" }), /no state dict under "other"; its keys are \["ema", "raw"\]/);
});

test("what Lightning leaves beside the state dict is passed over", async () => {
  const empty = Buffer.from(")");
  const newObject = (module: string, name: string) => Buffer.concat([pickle.global(module, name), empty, Buffer.from([0x81])]);
  const attributes = Buffer.concat([newObject("pytorch_lightning.utilities.parsing", "AttributeDict"), Buffer.from("("), pickle.text("lr"), pickle.int(1), Buffer.from("u")]);
  const namespace = Buffer.concat([newObject("argparse", "Namespace"), pickle.dict(pickle.text("lr"), pickle.int(1)), Buffer.from("b")]);
  const scalar = pickle.call(pickle.global("numpy.core.multiarray", "scalar"), pickle.call(pickle.global("numpy", "dtype"), pickle.text("f8")));
  const neverCalled = pickle.dict(pickle.global("my_project.callbacks", "Best"), pickle.int(1));
  const object = pickle.dict(
    pickle.text("hyper_parameters"), attributes, pickle.text("args"), namespace, pickle.text("best"), scalar,
    pickle.text("callbacks"), neverCalled, pickle.text("state_dict"), stateDict);
  assert.equal((await openBytes(torchZip(pickle.file(object), { 0: values }))).stateDict, "state_dict");
});

/** An object with attributes, as pickle writes it; `type` names its class. */
const objectOf = (type: Buffer, attributes: Buffer) => Buffer.concat([type, Buffer.from(")"), Buffer.from([0x81]), attributes, Buffer.from("b")]);
const moduleOf = (type: Buffer, parts: { parameters?: Buffer[]; buffers?: Buffer[]; modules?: Buffer[] }) =>
  objectOf(type, pickle.dict(
    pickle.text("training"), Buffer.from([0x89]), pickle.text("_backend"), pickle.call(pickle.global("torch.nn.backends.thnn", "_get_thnn_function_backend")),
    pickle.text("_parameters"), pickle.dict(...(parts.parameters ?? [])), pickle.text("_buffers"), pickle.dict(...(parts.buffers ?? [])), pickle.text("_modules"), pickle.dict(...(parts.modules ?? []))));

test("a module that was saved whole gives its state dict, in files of either format", async () => {
  const parameter = pickle.call(pickle.global("torch._utils", "_rebuild_parameter"), weight, Buffer.from([0x88]), pickle.call(pickle.global("collections", "OrderedDict")));
  const build = (named: (module: string, name: string) => Buffer) => {
    const conv = moduleOf(named("torch.nn.modules.conv", "Conv2d"), { parameters: [pickle.text("weight"), parameter, pickle.text("bias"), pickle.none] });
    const norm = moduleOf(named("torch.nn.modules.batchnorm", "BatchNorm2d"), { buffers: [pickle.text("running_mean"), weight] });
    const features = moduleOf(named("torch.nn.modules.container", "Sequential"), { modules: [pickle.text("conv0"), conv, pickle.text("norm0"), norm] });
    return pickle.file(moduleOf(named("torchxrayvision.models", "DenseNet"), { modules: [pickle.text("features"), features] }));
  };
  // Before 1.6 a class came with its source, which is not looked at.
  const withSource = (module: string, name: string) => Buffer.concat([pickle.tuple(pickle.text("module"), pickle.global(module, name), pickle.text("models.py"), pickle.text("import os")), Buffer.from("Q")]);
  for (const file of [torchZip(build(pickle.global), { 0: values }), torchLegacy(build(withSource), { 0: { elements: 4, bytes: values } })]) {
    const tensors = await readAll(await openBytes(file));
    assert.deepEqual([...tensors.keys()], ["features.conv0.weight", "features.norm0.running_mean"]);
    assert.deepEqual(tensors.get("features.conv0.weight")!.bytes, values);
  }
});

test("modules without tensors and modules without end are refused", async () => {
  const type = pickle.global("torch.nn.modules.container", "Sequential");
  await assert.rejects(openBytes(torchZip(pickle.file(moduleOf(type, {})))), refusal(/a module \("torch\.nn\.modules\.container\.Sequential"\) without tensors/));
  // A module that is its own submodule: memoised before its state is set.
  const endless = Buffer.concat([type, Buffer.from(")"), Buffer.from([0x81, 0x71, 0]), pickle.dict(pickle.text("_modules"), pickle.dict(pickle.text("a"), Buffer.from([0x68, 0]))), Buffer.from("b")]);
  await assert.rejects(openBytes(torchZip(pickle.file(endless))), refusal(/more than 1000000 attributes/));
});

const system = pickle.global("posix", "system");
const command = pickle.text("echo pwned > pwned.txt");
const hostile: [how: string, object: Buffer][] = [
  ["REDUCE", pickle.call(system, command)],
  ["NEWOBJ", Buffer.concat([system, pickle.tuple(command), Buffer.from([0x81])])],
  ["NEWOBJ_EX", Buffer.concat([system, pickle.tuple(command), pickle.dict(), Buffer.from([0x92])])],
  ["OBJ", Buffer.concat([Buffer.from("("), system, command, Buffer.from("o")])],
  ["INST", Buffer.concat([Buffer.from("("), command, Buffer.from("iposix\nsystem\n")])],
  ["STACK_GLOBAL", pickle.call(Buffer.concat([pickle.text("posix"), pickle.text("system"), Buffer.from([0x93])]), command)],
  ["BUILD", Buffer.concat([system, pickle.dict(), Buffer.from("b")])],
];
for (const [how, object] of hostile) {
  test(`a call of posix.system by ${how} is refused by name`, async () => {
    await assert.rejects(openBytes(torchZip(pickle.file(pickle.dict(pickle.text("w"), object)))), refusal(/posix\.system/));
    assert.equal(existsSync("pwned.txt"), false);
  });
}

test("names that resemble those on the list are not on it", async () => {
  for (const [module, name] of [["torch._utils", "_rebuild_tensor_v22"], ["builtins", "eval"], ["builtins", "getattr"], ["torch", "load"],
    ["lightningx.y", "z"], ["numpy.core.multiarray.scalar", "x"], ["torch.nn.functional", "linear"], ["torchxrayvision.modelsx", "DenseNet"]]) {
    await assert.rejects(openBytes(torchZip(pickle.file(pickle.call(pickle.global(module, name))))), refusal(/wants to call/));
  }
});

test("a tensor that a file changes after it was checked keeps the checked shape", async () => {
  // shape list memoised (q0), used, then appended to: the copy in the tensor must not grow.
  const shape = Buffer.concat([pickle.list(pickle.int(4)), Buffer.from([0x71, 0])]);
  const made = pickle.call(pickle.global("torch._utils", "_rebuild_tensor_v2"), pickle.storage("FloatStorage", "0", 4), pickle.int(0), shape, pickle.tuple(pickle.int(1)));
  const grown = Buffer.concat([Buffer.from([0x68, 0]), pickle.int(1_000_000), Buffer.from("a")]);
  const checkpoint = await openBytes(torchZip(pickle.file(pickle.dict(pickle.text("w"), made, pickle.text("list"), grown)), { 0: values }));
  assert.deepEqual(checkpoint.tensors.get("w")!.shape, [4]);
});

const tensorOf = (elements: number, offset: number, shape: number[], strides: number[]) =>
  pickle.dict(pickle.text("w"), pickle.tensor(pickle.storage("FloatStorage", "0", elements), offset, shape, strides));
const malformed: [why: string, file: () => Uint8Array, message: RegExp][] = [
  ["a tensor past its storage", () => torchZip(pickle.file(tensorOf(4, 1, [2, 2], [2, 1])), { 0: values }), /reaches past the 4 elements/],
  ["strides past its storage", () => torchZip(pickle.file(tensorOf(4, 0, [2, 2], [1_000_000_000, 1])), { 0: values }), /reaches past/],
  ["a negative offset", () => torchZip(pickle.file(tensorOf(4, -1, [2], [1])), { 0: values }), /offset -1/],
  ["a negative stride", () => torchZip(pickle.file(tensorOf(4, 3, [4], [-1])), { 0: values }), /strides \[-1\]/],
  ["more sizes than strides", () => torchZip(pickle.file(tensorOf(4, 0, [2, 2], [1])), { 0: values }), /strides \[1\]/],
  ["a tensor expanded beyond its storage", () => torchZip(pickle.file(tensorOf(4, 0, [1_000_000_000, 4], [0, 1])), { 0: values }), /repeats the 4 elements/],
  ["a storage shorter than it says", () => torchZip(pickle.file(tensorOf(5, 0, [5], [1])), { 0: values }), /has 16 bytes where 20/],
  ["a storage that is not there", () => torchZip(pickle.file(stateDict), { 1: values }), /storage "0" is not in the archive/],
  ["an unknown type of storage", () => torchZip(pickle.file(pickle.storage("QInt8Storage", "0", 4))), /torch\.QInt8Storage/],
  ["a persistent id of another kind", () => torchZip(pickle.file(Buffer.from("NQ"))), /describes a storage in a way/],
  ["no dict", () => torchZip(pickle.file(pickle.list(weight)), { 0: values }), /holds a list/],
  ["only a tensor", () => torchZip(pickle.file(weight), { 0: values }), /holds a single tensor/],
  ["no tensor", () => torchZip(pickle.file(pickle.dict(pickle.text("a"), pickle.int(1)))), /has no tensors; its keys are \["a"\]/],
  ["keys of every kind and no tensor", () => torchZip(pickle.file(pickle.dict(pickle.tuple(), pickle.int(1), Buffer.concat([Buffer.from([0x8a, 9]), Buffer.alloc(9, 1)]), pickle.int(1)))), /has no tensors/],
  ["nothing on the stack", () => torchZip(pickle.file()), /nothing is on the stack/],
  ["no end", () => torchZip(pickle.file(stateDict).subarray(0, -1), { 0: values }), /ends within the pickle/],
  ["an opcode of no use here", () => torchZip(pickle.file(Buffer.from("I1\n"))), /opcode 0x49/],
  ["a memo that was not written", () => torchZip(pickle.file(Buffer.from("h\x07"))), /memo 7/],
  ["an integer of a gigabyte", () => torchZip(pickle.file(Buffer.from([0x8b, 0, 0, 0, 0x40]))), /integer claims 1073741824 bytes/],
  ["a string of four gigabytes", () => torchZip(pickle.file(Buffer.from("X\xff\xff\xff\xff", "latin1"))), /ends within the pickle/],
  ["too many objects", () => torchZip(pickle.file(Buffer.alloc(3_000_000, "}"))), /more than 2000000 objects/],
  ["a pickle of 33 MiB", () => torchZip(Buffer.alloc(33 * 2 ** 20)), /more than any state dict needs/],
  ["a TorchScript program", () => zipFile([["m/data.pkl", pickle.file(stateDict)], ["m/constants.pkl", values]]), /TorchScript/],
  ["big-endian storages", () => zipFile([["m/data.pkl", pickle.file(stateDict)], ["m/byteorder", Buffer.from("big")]]), /byte order "big"/],
  ["no data.pkl", () => zipFile([["word/document.xml", values]]), /without data\.pkl/],
  ["compressed entries", () => torchZip(pickle.file(stateDict), { 0: values }, { compression: 8 }), /is compressed/],
  ["encrypted entries", () => torchZip(pickle.file(stateDict), { 0: values }, { flags: 1 }), /is encrypted/],
  ["one entry twice", () => zipFile([["m/data.pkl", values], ["m/data.pkl", values]]), /twice/],
];
for (const [why, file, message] of malformed) {
  test(`a PyTorch file with ${why} is refused`, () => assert.rejects(openBytes(file()), refusal(message)));
}

test("files that are something else are told by their beginning", async () => {
  await assert.rejects(openBytes(Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")), refusal(/Git LFS pointer/));
  const tar = Buffer.alloc(1024);
  tar.write("ustar", 257);
  await assert.rejects(openBytes(tar), refusal(/tar archive/));
  await assert.rejects(openBytes(Buffer.from("weights")), refusal(/is no checkpoint.*"weights"/));
});

test("a refused file is closed, and closing a checkpoint closes its file", async () => {
  const closed: string[] = [];
  const source = (name: string, bytes: Uint8Array) => ({ ...memorySource(name, bytes), async close() { closed.push(name); } });
  await assert.rejects(openCheckpointSource(source("bad", new Uint8Array(3))));
  const checkpoint = await openCheckpointSource(source("good", torchZip(pickle.file(stateDict), { 0: values })));
  assert.deepEqual(closed, ["bad"]);
  await checkpoint.close();
  assert.deepEqual(closed, ["bad", "good"]);
});

function refusal(message: RegExp): (error: Error) => boolean {
  return (error) => {
    assert.ok(error instanceof WeightsError, String(error.stack));
    assert.match(error.message, /^test\.bin: /);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}
