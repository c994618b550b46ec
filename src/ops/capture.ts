import { scatterCapture as scatterCaptureKernel } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { checkShape } from "./check.ts";

/** The slot of an item whose map is dropped. */
export const dropped = 0xffffffff;

/**
 * Puts the map of one token set of every batch item into its place: maps[slots[b]] = captured[b, set].
 * captured f32 [B, S, Nq], slots u32 [B] (`dropped`: nowhere), maps f32 [slots, Nq] changed in place.
 */
export function scatterCapture(maps: Tensor, captured: Tensor, options: { set: number; slots: Tensor }): void {
  const [batch, sets, queries] = captured.shape;
  checkShape("scatterCapture", "maps", maps, [maps.shape[0], queries]);
  checkShape("scatterCapture", "slots", options.slots, [batch]);
  maps.gpu.run(scatterCaptureKernel, {
    bindings: { captured, slots: options.slots, maps },
    params: { batch, sets, token_set: options.set, queries },
    prelude: {},
    grid: Math.ceil((batch * queries) / 64),
    bytes: 8 * batch * queries,
  });
}
