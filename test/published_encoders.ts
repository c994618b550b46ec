import { randomValues } from "../shaders-test/values.ts";
import type { Parameter } from "../src/models/parameters.ts";
import { sizeOf } from "../src/tensor.ts";
import { pickle, safetensorsFile, torchZip } from "./weights_files.ts";

/** A tensor of a checkpoint: float32, or int64 where it is a buffer of positions. */
export interface FileTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

/** Tensors by key, in the order of the file. */
export type FileTensors = ReadonlyMap<string, FileTensor>;

/** Random weights for a model's parameters, of sizes that keep its activations near 1. */
export function randomTensors(parameters: ReadonlyMap<string, Parameter>): FileTensors {
  return new Map([...parameters.values()].map(({ name, shape }, i): [string, FileTensor] => {
    const values = randomValues(sizeOf(shape), 1 + i, "f32", shape.length > 1 ? Math.sqrt(3 / shape[1]) : 0.1);
    return [name, { shape, values: /norm[12]?\.weight$/i.test(name) ? values.map((value) => 1 + value) : values }];
  }));
}

/** Random tensors of some shapes. */
export function otherTensors(shapes: Readonly<Record<string, readonly number[]>>): FileTensors {
  return new Map(Object.entries(shapes).map(([name, shape], i) => [name, { shape, values: randomValues(sizeOf(shape), 1000 + i) }]));
}

/** The buffer of positions that transformers saved with its models before version 4.31. */
export function positionBuffer(name: string, length: number): FileTensors {
  return new Map([[name, { shape: [1, length], values: BigInt64Array.from({ length }, (_, i) => BigInt(i)) }]]);
}

/** The same tensors by other keys. */
export function renamed(tensors: FileTensors, rename: (key: string) => string): FileTensors {
  return new Map([...tensors].map(([key, tensor]) => [rename(key), tensor]));
}

/** Several files' tensors in one. */
export function joined(...parts: readonly FileTensors[]): FileTensors {
  return new Map(parts.flatMap((part) => [...part]));
}

const bytesOf = ({ values }: FileTensor) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** A safetensors file. */
export function safetensors(tensors: FileTensors): Uint8Array {
  let end = 0;
  const header = Object.fromEntries([...tensors].map(([key, tensor]) => {
    const begin = end;
    end += tensor.values.byteLength;
    return [key, { dtype: tensor.values instanceof Float32Array ? "F32" : "I64", shape: tensor.shape, data_offsets: [begin, end] }];
  }));
  return safetensorsFile(header, Buffer.concat([...tensors.values()].map(bytesOf)));
}

/** A file of torch.save: the state dict, or the object that `root` makes of it. */
export function torchFile(tensors: FileTensors, root: (stateDict: Buffer) => Buffer = (stateDict) => stateDict): Uint8Array {
  const storages = Object.fromEntries([...tensors.values()].map((tensor, i) => [String(i), bytesOf(tensor)]));
  const items = [...tensors].flatMap(([key, { shape, values }], i) => {
    const storage = pickle.storage(values instanceof Float32Array ? "FloatStorage" : "LongStorage", String(i), values.length);
    const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
    return [pickle.text(key), pickle.tensor(storage, 0, [...shape], strides)];
  });
  return torchZip(pickle.file(root(pickle.dict(...items))), storages);
}

/** What Lightning saves: the state dict among facts of the training, some of classes of its own. */
export function lightningFile(tensors: FileTensors): Uint8Array {
  const settings = Buffer.concat([pickle.call(pickle.global("omegaconf.dictconfig", "DictConfig")), pickle.dict(pickle.text("_content"), pickle.none), Buffer.from("b")]);
  return torchFile(tensors, (stateDict) => pickle.dict(
    pickle.text("epoch"), pickle.int(12),
    pickle.text("pytorch-lightning_version"), pickle.text("1.1.4"),
    pickle.text("callbacks"), pickle.dict(pickle.global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"), pickle.dict(pickle.text("monitor"), pickle.text("val_loss"))),
    pickle.text("optimizer_states"), pickle.list(),
    pickle.text("state_dict"), stateDict,
    pickle.text("hyper_parameters"), settings,
  ));
}

/** A BERT's small vocabulary. */
export const bertTokenizer = { "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nsmall\nleft\npleural\neffusion\n##s\n" };

/** RoBERTa's form of vocabulary, over a few letters. */
export const robertaTokenizer = {
  "vocab.json": JSON.stringify({ "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, l: 5, u: 6, n: 7, g: 8, "Ġ": 9, lu: 10, ng: 11, lung: 12 }),
  "merges.txt": "#version: 0.2\nl u\nn g\nlu ng\n",
};

/** CLIP's form of vocabulary, over a few letters. */
export const clipTokenizer = {
  "vocab.json": JSON.stringify({ "!": 0, l: 1, u: 2, n: 3, g: 4, "l</w>": 5, "u</w>": 6, "n</w>": 7, "g</w>": 8, lu: 9, "lung</w>": 10, "ng</w>": 11, "<|startoftext|>": 12, "<|endoftext|>": 13 }),
  "merges.txt": "#version: 0.2\nl u\nn g</w>\nlu ng</w>\n",
};
