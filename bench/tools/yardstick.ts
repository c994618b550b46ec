import type { Gpu } from "../../src/gpu/gpu.ts";
import { zeros } from "../../src/ops/fill.ts";
import { dispatchCopy, dispatchFma } from "../../src/peaks.ts";

/** Fixed work that nobody tunes, half arithmetic and half memory traffic: what the machine does to it, it does to the cases. */
export interface Yardstick {
  /** Milliseconds of the work now. */
  time(): Promise<number>;
  free(): void;
}

/** A yardstick of a few milliseconds on the device. */
export function createYardstick(gpu: Gpu): Yardstick {
  const { software } = gpu.adapter;
  const [elements, rounds, floats] = software ? [2 ** 13, 48, 2 ** 20] : [2 ** 20, 256, 2 ** 24];
  const [x, y] = [zeros(gpu, [elements]), zeros(gpu, [elements])];
  const [from, to] = [zeros(gpu, [floats]), zeros(gpu, [floats])];
  const step = gpu.record("yardstick", () => {
    dispatchFma(x, y, rounds);
    dispatchCopy(from, to);
  });
  return {
    async time() {
      await gpu.sync();
      const start = performance.now();
      step.replay();
      await gpu.sync();
      return performance.now() - start;
    },
    free: () => [step, x, y, from, to].forEach((thing) => thing.free()),
  };
}
