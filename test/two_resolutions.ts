import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { shippedModel } from "../src/cli/package.ts";
import { openModelFolder } from "../src/node.ts";
import { initialWeights, normalValues } from "../src/training/initial_weights.ts";
import { writeSafetensorsFile } from "../src/weights/atomic_file_node.ts";
import { temporaryFolder } from "./cli_process.ts";

/**
 * A folder with the shipped model but for its U-Net, whose seven layers of cross-attention are of two resolutions: 0, 5
 * and 6 of 16x16, the others of 8x8. Random weights; those of queries and keys are large, so that its maps vary.
 */
export async function modelOfTwoResolutions(): Promise<string> {
  const folder = join(temporaryFolder(), "model");
  cpSync(shippedModel, folder, { recursive: true });
  const file = join(folder, "unet", "config.json");
  const config = {
    ...JSON.parse(readFileSync(file, "utf8")),
    block_out_channels: [16, 32, 32],
    attention_head_dim: 2,
    mid_block_type: "UNetMidBlock2DCrossAttn",
    down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  };
  writeFileSync(file, JSON.stringify(config));
  const weights = join(folder, "unet", "diffusion_pytorch_model.safetensors");
  rmSync(weights);
  const { parameters } = await openModelFolder(folder).unet();
  const source = initialWeights(parameters, 1, ({ name }) => (/attn2\.to_[qk]\.weight$/.test(name) ? normalValues(0.5) : undefined));
  const outputs = [...source.tensors.values()].map((entry) => ({
    ...entry,
    async *chunks() {
      yield await source.read(entry, 0, entry.byteLength);
    },
  }));
  await writeSafetensorsFile(weights, outputs);
  return folder;
}
