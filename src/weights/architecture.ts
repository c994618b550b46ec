/** A guess at what a checkpoint is, from its keys. */
export interface ArchitectureGuess {
  /** Name of the class in diffusers, transformers or torchvision, or the layout's. */
  readonly name: string;
  /** What stands before the keys of that class; "" where nothing does. */
  readonly prefix: string;
}

/** A key that tells an architecture, without prefix; the first that fits counts, so the more special come first. */
const signatures: readonly (readonly [name: string, key: RegExp])[] = [
  ["LoRA", /[._]lora[._](down|up|A|B)\b/],
  ["Stable Diffusion in the LDM layout", /^model\.diffusion_model\.input_blocks\.0\.0\.weight$/],
  ["AutoencoderKL in the LDM layout", /^encoder\.down\.0\.block\.0\.conv1\.weight$/],
  ["UNet2DConditionModel", /^time_embedding\.linear_1\.weight$/],
  ["AutoencoderKL", /^encoder\.down_blocks\.0\.resnets\.0\.conv1\.weight$/],
  ["CXRBertModel", /^cls_projection_head\.dense_to_hidden\.weight$/],
  ["BertModel", /^embeddings\.word_embeddings\.weight$/],
  ["CLIPTextModel", /^text_model\.embeddings\.token_embedding\.weight$/],
  ["OpenCLIP text transformer", /^transformer\.resblocks\.0\.attn\.in_proj_weight$/],
  ["InceptionV3", /^Mixed_5b\.branch1x1\.conv\.weight$/],
  ["DenseNet", /^features\.denseblock1\.denselayer1\.conv1\.weight$/],
  ["ResNet", /^layer1\.0\.conv1\.weight$/],
];

/** Guesses the architecture; undefined where no key is known. Prefixes such as Lightning's `text_encoder.` are seen through. */
export function guessArchitecture(names: Iterable<string>): ArchitectureGuess | undefined {
  const keys = [...names];
  for (const [name, signature] of signatures) {
    for (const key of keys) {
      const start = suffixStarts(key).find((at) => signature.test(key.slice(at)));
      if (start !== undefined) return { name, prefix: key.slice(0, start) };
    }
  }
  return undefined;
}

/** Where the key and its dotted suffixes begin, up to four levels deep. */
function suffixStarts(key: string): number[] {
  const starts = [0];
  for (let dot = key.indexOf("."); dot >= 0 && starts.length < 5; dot = key.indexOf(".", dot + 1)) starts.push(dot + 1);
  return starts;
}
