// A training run of a model that takes milliseconds, in a process of its own that tests end at any moment.
// Arguments: the run's folder, its steps.
import { openGpu } from "../src/gpu/open_node.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { type Model, ParameterScope } from "../src/models/parameters.ts";
import { normalNoise } from "../src/ops/diffusion.ts";
import { embedding } from "../src/ops/embed.ts";
import { mseLoss } from "../src/ops/loss.ts";
import { layerNorm } from "../src/ops/norm.ts";
import { add, multiply, silu } from "../src/ops/pointwise.ts";
import { type BatchPosition, dataOrder, slotsOf } from "../src/training/data_order.ts";
import { initialWeights } from "../src/training/initial_weights.ts";
import { type Recipe, completeRecipe } from "../src/training/recipe.ts";
import { runTraining } from "../src/training/run_node.ts";
import type { PartPlace } from "../src/training/trained_part.ts";
import type { TrainingTask } from "../src/training/unet_training.ts";

const [samples, width, taps] = [11, 6, 4];

/** A table, a norm, and weights in both packings, which the loss reads as gates. */
export function toyModel() {
  const p = new ParameterScope();
  const table = p.declare("table.weight", [samples, width], "table");
  const norm = { weight: p.declare("norm.weight", [width], "plain"), bias: p.declare("norm.bias", [width], "plain") };
  const gate = p.declare("gate.weight", [width, taps], "linear"); // packed [taps, width]
  const filter = p.declare("filter.weight", [width, 1, 2, 2], "conv"); // packed [2, 2, 1, width]
  const model: Model = { parameters: p.all, ignoredKeys: /^$/ };
  return { model, table, norm, gate, filter };
}

export const toyRecipe = (maxSteps: number): Recipe =>
  completeRecipe({ maxSteps, batchSize: taps, accumulationSteps: 2, learningRate: 1e-2, warmupSteps: 3, dtype: "f32", seed: 7 });

/** Where its checkpoints have it. */
export const toyPlace: PartPlace = { folder: "toy", weightsFile: "model.safetensors", keyPrefix: "" };

/** Tensors of a batch and the loss on them: embedded samples, gated, against noise of their own. */
export function toyTask(gpu: Gpu, recipe: Recipe, { table, norm, gate, filter }: ReturnType<typeof toyModel>): TrainingTask {
  const ids = gpu.tensor(new Uint32Array(taps), [taps]);
  const items = gpu.tensor(new Uint32Array(2 * taps), [taps, 2]);
  const order = dataOrder(recipe, samples);
  const loss = () => {
    const x = layerNorm(embedding(ids, table.tensor, { dtype: recipe.dtype }), { weight: norm.weight.tensor, bias: norm.bias.tensor, eps: 1e-5 });
    // The gradient of a gate has the activations' type: with f16 the table and the norm alone are read.
    const y = recipe.dtype === "f16" ? silu(x) : add(multiply(silu(x), gate.tensor), multiply(x, filter.tensor.reshape(taps, width)));
    return mseLoss(y, normalNoise(gpu, [taps, width], { seed: recipe.seed, stream: 0, items }));
  };
  const fillBatch = async (position: BatchPosition) => {
    ids.write(Uint32Array.from(order.batch(position)));
    items.write(Uint32Array.from(slotsOf(recipe, position).flatMap((slot) => [slot, position.step])));
  };
  return { loss, fillBatch, free: () => [ids, items].forEach((tensor) => tensor.free()) };
}

async function main(folder: string, maxSteps: number): Promise<void> {
  const gpu = await openGpu();
  const recipe = toyRecipe(maxSteps);
  const toy = toyModel();
  const tell = (line: string) => process.stdout.write(`${line}\n`);
  await runTraining(gpu, {
    out: folder, recipe, about: {}, resume: true, saveEvery: 3, keep: 2, divergence: 3, tell,
    parts: [{ place: toyPlace, model: toy.model, start: initialWeights(toy.model.parameters, recipe.seed) }],
    task: toyTask(gpu, recipe, toy),
    onStep: ({ step }) => tell(`step ${step}`),
  });
  gpu.close();
  tell("done");
}

if (process.argv[1]?.endsWith("training_run.ts")) await main(process.argv[2], Number(process.argv[3]));
