import { BertModel, readBertConfig } from "../models/bert.ts";
import { ClipTextModel, readClipTextConfig } from "../models/clip.ts";
import { embedding } from "../ops/embed.ts";
import { type Golden, type VerifyContext, onDevice, uploadIntegers, withModel } from "./context.ts";
import { type GoldenFile, readGoldenFile } from "./golden_file.ts";
import { type Part, exactPart, relativePart } from "./parts.ts";
import { companionTokenizer } from "./tokenizers.ts";
import { outputBound } from "./bounds.ts";

/** tiny_ldm's encoder, of CXR-BERT's shape: masked, unmasked, and [CLS] through the projection head. */
export const bertGolden: Golden = {
  name: "bert",
  paths: ["bert.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    const build = (...config: Parameters<typeof readBertConfig>) => new BertModel(readBertConfig(...config), { withProjection: true });
    return withModel(context, "tiny_ldm/text_encoder", build, () => ({ prefixes: ["bert.", ""] }), async (bert) => [
      ...(await phraseParts(context, golden)),
      ...(await bertParts(context, golden, bert)),
    ]);
  },
};

/** The phrases that the golden's ids were made from. */
async function phraseParts(context: VerifyContext, golden: GoldenFile): Promise<Part[]> {
  const tokenizer = await companionTokenizer(context, "tiny_ldm/tokenizer");
  const encodings = golden.fact<string[]>("phrases").map((phrase) => tokenizer.encode(phrase));
  return [
    exactPart("input_ids", encodings.flatMap(({ ids }) => [...ids]), golden.tensor("in.input_ids").data),
    exactPart("attention_mask", encodings.flatMap(({ attentionMask }) => [...attentionMask]), golden.tensor("in.attention_mask").data),
  ];
}

async function bertParts({ gpu }: VerifyContext, golden: GoldenFile, bert: BertModel): Promise<Part[]> {
  const outputs = await onDevice(gpu, () => {
    const ids = uploadIntegers(gpu, golden.tensor("in.input_ids"));
    const masked = bert.forward(ids, { mask: uploadIntegers(gpu, golden.tensor("in.attention_mask")), dtype: "f32" });
    const [batch, length, width] = masked.shape;
    const first = gpu.tensor(Uint32Array.from({ length: batch }, (_, i) => i * length), [batch]);
    const cls = embedding(first, masked.reshape(batch * length, width));
    return { masked, unmasked: bert.forward(ids, { dtype: "f32" }), cls_projected: bert.projectCls(cls) };
  });
  return Object.entries(outputs).map(([name, output]) => relativePart(name, output.data, golden.tensor(`out.${name}`).data, outputBound));
}

/** tiny_clip, read as CLIP and as OpenCLIP: the same weights with the exact GELU, second last layer. */
export const clipGolden: Golden = {
  name: "clip",
  paths: ["clip.safetensors"],
  async run(context, path) {
    const { gpu } = context;
    const golden = await readGoldenFile(context.folder, path);
    const parts: Part[] = [];
    for (const [name, penultimate] of [["last_hidden_state", false], ["openclip_penultimate", true]] as const) {
      const build = (...[file, config]: Parameters<typeof readClipTextConfig>) => new ClipTextModel({ ...readClipTextConfig(file, config), ...(penultimate ? { penultimate, activation: "gelu" } : {}) });
      const { output } = await withModel(context, "tiny_clip", build, () => ({ prefixes: ["text_model.", ""] }), (clip) =>
        onDevice(gpu, () => ({ output: clip.forward(uploadIntegers(gpu, golden.tensor("in.input_ids")), { dtype: "f32" }) })),
      );
      parts.push(relativePart(name, output.data, golden.tensor(`out.${name}`).data, outputBound));
    }
    return parts;
  },
};
