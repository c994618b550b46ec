import type { Config } from "../config.ts";
import { InputError } from "../errors.ts";
import { type Tokenizer, loadTokenizer } from "../text/tokenizer.ts";
import { type FolderSource, parseJson, readText } from "../weights/byte_source.ts";
import { inDirectory } from "../weights/open_checkpoint.ts";
import { type TextEncoderModel, createTextEncoder } from "./text_encoder.ts";

/** Where a text encoder lies. */
export interface TextEncoderPlace {
  readonly folder: FolderSource;
  /** Directory of its configuration and weights; "" is the folder itself. */
  readonly directory: string;
  /** Directory of its tokenizer's files. */
  readonly tokenizerDirectory: string;
}

/** A text encoder, still without weights, with its tokenizer. */
export interface OpenedTextEncoder {
  readonly textEncoder: TextEncoderModel;
  readonly tokenizer: Tokenizer;
  /** Text of its configuration. */
  readonly configText: string;
}

/** Positions N of every published text encoder, where its tokenizer names no other. */
const publishedLength = 77;

/** The text encoder of a model folder in the diffusers layout. */
export function ownTextEncoder(folder: FolderSource): TextEncoderPlace {
  return { folder, directory: "text_encoder", tokenizerDirectory: "tokenizer" };
}

/** The text encoder of any folder: a repository with all its files side by side, or a model folder in the diffusers layout. */
export async function findTextEncoder(folder: FolderSource): Promise<TextEncoderPlace> {
  return (await folder.has("text_encoder/config.json")) ? ownTextEncoder(folder) : { folder, directory: "", tokenizerDirectory: "" };
}

/**
 * Reads configuration and tokenizer. open_clip_config.json goes before config.json, which repositories of OpenCLIP have
 * too: it says how the method reads the encoder.
 * Throws InputError where they are missing, not supported, or do not fit one another.
 */
export async function openTextEncoder({ folder, directory, tokenizerDirectory }: TextEncoderPlace): Promise<OpenedTextEncoder> {
  const path = await configPath(folder, directory);
  const configText = await readText(folder, path);
  const file = `${folder.name}/${path}`;
  const textEncoder = createTextEncoder(file, parseJson(file, configText) as Config);
  const { positions } = textEncoder;
  const readFile = async (name: string) => {
    const tokenizerFile = inDirectory(tokenizerDirectory, name);
    return (await folder.has(tokenizerFile)) ? readText(folder, tokenizerFile) : undefined;
  };
  const tokenizer = await loadTokenizer(readFile, { where: placeName(folder, tokenizerDirectory), fallbackLength: Math.min(publishedLength, positions) });
  if (tokenizer.length > positions) throw new InputError(folder.name, `the tokenizer gives ${tokenizer.length} positions, the text encoder has ${positions}`);
  return { textEncoder, tokenizer, configText };
}

async function configPath(folder: FolderSource, directory: string): Promise<string> {
  for (const name of ["open_clip_config.json", "config.json"]) {
    const path = inDirectory(directory, name);
    if (await folder.has(path)) return path;
  }
  const fact = "has no config.json and no open_clip_config.json; a checkpoint of a trainer, as of CXR-CLIP and GLoRIA, needs those of the encoder it trained beside it (Bio_ClinicalBERT's)";
  throw new InputError(placeName(folder, directory), fact);
}

function placeName({ name }: FolderSource, directory: string): string {
  return directory === "" ? name : `${name}/${directory}`;
}
