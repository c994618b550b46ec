import type { Gpu } from "../gpu/gpu.ts";
import type { AttentionSink } from "../models/transformer.ts";
import type { UNet2DConditionModel } from "../models/unet.ts";
import { accumulateCapture } from "../ops/attention.ts";
import { dropped, scatterCapture } from "../ops/capture.ts";
import { zeros } from "../ops/fill.ts";
import type { Tensor } from "../tensor.ts";

/** A cross-attention layer and the side of its maps. */
export interface CaptureLayer {
  name: string;
  side: number;
}

/** Token sets in the order in which a main pass captures them; single words, where asked for, follow. */
export const tokenSets = { chosen: 0, start: 1, firstWord: 2 } as const;

/** What a sink is to keep. */
export interface SinkPlan {
  /** The layers to capture, in module order. */
  layers: readonly CaptureLayer[];
  /** f32 [contexts, S, N]: weights of the token sets of each text. */
  weights: Tensor;
  /** Maps to make: one for each pair of image and phrase. */
  targets: number;
  timesteps: number;
  /** Token sets whose maps are kept for every timestep (the bias product needs them), besides the running sums. */
  perTimestep: readonly number[];
  /** Whether the forward pass may end with the last captured layer. */
  stopEarly: boolean;
}

/** One batch item's place in a pass. */
export interface SinkItem {
  target: number;
  timestep: number;
  /** Its weight in the running sums; 0 leaves it out. */
  weight: number;
}

/**
 * Collects cross-attention maps at native resolution: weighted sums over timesteps of every token set and, where
 * the bias product needs them, single timesteps. This is all that is kept of P.
 */
export class MapSink implements AttentionSink {
  readonly capture: { weights: Tensor };
  readonly layers: readonly CaptureLayer[];
  /** By layer: f32 [targets, S, side * side]. */
  readonly sums: ReadonlyMap<string, Tensor>;
  /** By token set and layer: f32 [targets * timesteps, side * side]. */
  readonly perTimestep: ReadonlyMap<number, ReadonlyMap<string, Tensor>>;
  readonly #plan: SinkPlan;
  readonly gpu: Gpu;
  #taken = 0;
  #batch: { targets: Tensor; weights: Tensor; slots: Tensor } | undefined;

  constructor(gpu: Gpu, plan: SinkPlan) {
    this.gpu = gpu;
    this.#plan = plan;
    this.layers = plan.layers;
    this.capture = { weights: plan.weights };
    const sets = plan.weights.shape[1];
    const perLayer = (rows: (side: number) => readonly number[]) => new Map(plan.layers.map(({ name, side }) => [name, zeros(gpu, rows(side))]));
    this.sums = perLayer((side) => [plan.targets, sets, side * side]);
    this.perTimestep = new Map(plan.perTimestep.map((set) => [set, perLayer((side) => [plan.targets * plan.timesteps, side * side])]));
  }

  /** Prepares for batches of `size` items: to be called once before the forward pass is recorded. */
  begin(size: number): void {
    this.endBatch();
    const gpu = this.gpu;
    this.#batch = { targets: gpu.empty([size], "u32"), weights: gpu.empty([size]), slots: gpu.empty([size], "u32") };
  }

  /** Says where the items of the next batch belong. `undefined` items are computed and dropped. */
  place(items: readonly (SinkItem | undefined)[]): void {
    const batch = this.#expectBatch();
    batch.targets.write(Uint32Array.from(items, (item) => item?.target ?? 0));
    batch.weights.write(Float32Array.from(items, (item) => item?.weight ?? 0));
    batch.slots.write(Uint32Array.from(items, (item) => (item ? item.target * this.#plan.timesteps + item.timestep : dropped)));
  }

  /** To be called at the start of every forward pass that is recorded. */
  restart(): void {
    this.#taken = 0;
  }

  wants(layer: string): boolean {
    return this.sums.has(layer);
  }

  get done(): boolean {
    return this.#plan.stopEarly && this.#taken === this.layers.length;
  }

  take(layer: string, captured: Tensor): void {
    const { targets, weights, slots } = this.#expectBatch();
    accumulateCapture(this.sums.get(layer) as Tensor, captured, { contextOf: targets, weights });
    for (const [set, maps] of this.perTimestep) scatterCapture(maps.get(layer) as Tensor, captured, { set, slots });
    this.#taken++;
  }

  #expectBatch() {
    if (!this.#batch) throw new TypeError("begin() comes before a forward pass");
    return this.#batch;
  }

  /** Frees what belongs to one batch size. */
  endBatch(): void {
    for (const tensor of Object.values(this.#batch ?? {})) tensor.free();
    this.#batch = undefined;
  }

  free(): void {
    this.endBatch();
    for (const tensor of this.sums.values()) tensor.free();
    for (const maps of this.perTimestep.values()) for (const tensor of maps.values()) tensor.free();
  }
}

/** The cross-attention layers of a U-Net and the sides of their maps for a square latent, in module order. */
export function captureLayers(unet: UNet2DConditionModel, latentSide: number, which: "all" | readonly number[]): CaptureLayer[] {
  const layers = unet.crossAttentions.map(({ name, level }) => ({ name, side: latentSide / 2 ** level }));
  return which === "all" ? layers : layers.filter((_, i) => which.includes(i));
}
