import { type Command, InvalidArgumentError } from "commander";
import type { Config } from "../config.ts";
import { openTextEncoder, ownTextEncoder } from "../models/text_encoder_folder.ts";
import { UNet2DConditionModel } from "../models/unet.ts";
import { readUNetConfig } from "../models/unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "../models/vae.ts";
import { nodePlatform } from "../platform_node.ts";
import { type PassMemory, type PlannedModels, groundingPasses, planMemory } from "../profile/memory_plan.ts";
import { textTable } from "../profile/text_table.ts";
import { formatMib } from "../profile/units.ts";
import { type FolderSource, readJson } from "../weights/byte_source.ts";
import { createCommand, printJson } from "./command.ts";
import { wholeNumber } from "./numbers.ts";
import { shippedModel } from "./package.ts";

interface MemoryOptions {
  model?: string;
  batch: number[];
  json?: boolean;
}

/** `profile memory`. */
export function memoryCommand(): Command {
  return createCommand("memory", "what the passes of a model take of a device's memory: weights, what lives beside them at most, what a recorded step holds, the largest binding; planned from configurations, without weights or a device", "profile memory --model path/to/sd15 --batch 1,4")
    .option("--model <folder>", "model in the diffusers layout, a folder or URL (default: weights/phantom of this package)")
    .option("--batch <list>", "items of a pass of the U-Net, such as 1,4", batches, [1, 2, 8])
    .action(memory);
}

function batches(text: string): number[] {
  const list = text.split(",").map(wholeNumber(1));
  if (new Set(list).size < list.length) throw new InvalidArgumentError("A number stands there twice.");
  return list;
}

async function memory({ model = shippedModel, batch, json }: MemoryOptions): Promise<void> {
  const passes = planMemory(groundingPasses(await openModels(nodePlatform.openFolder(model)), batch));
  if (json) printJson({ model, passes });
  else process.stdout.write(`${memoryTable(passes)}\n`);
}

/** The models of a folder from their configurations. */
async function openModels(folder: FolderSource): Promise<PlannedModels> {
  const config = async (path: string): Promise<[string, Config]> => [`${folder.name}/${path}`, (await readJson(folder, path)) as Config];
  const vae = new AutoencoderKL(readVaeConfig(...(await config("vae/config.json"))));
  const unet = new UNet2DConditionModel(readUNetConfig(...(await config("unet/config.json"))));
  const { textEncoder, tokenizer } = await openTextEncoder(ownTextEncoder(folder));
  return { textEncoder, vae, unet, tokens: tokenizer.length };
}

function memoryTable(passes: readonly PassMemory[]): string {
  const rows = passes.map(({ name, dtype, batch, weightBytes, peakBytes, stepBytes, largestBinding, byScope }) => [
    name, dtype, largestScope(byScope), String(batch), ...[weightBytes, peakBytes, stepBytes, largestBinding.bytes].map(formatMib),
  ]);
  return textTable(["pass", "type", "most of it in", "items", "weights", "live at most", "as a step", "one binding"], rows, 3);
}

function largestScope(byScope: PassMemory["byScope"]): string {
  const [[scope]] = Object.entries(byScope).sort(([, a], [, b]) => b - a);
  return scope || "inputs";
}
