import { l1Loss } from "../ops/loss.ts";
import { zeros } from "../ops/fill.ts";
import { Tape, withTape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import type { TrainedPart } from "./trained_part.ts";

/** Mean magnitude of a tensor's elements, f32 [1]: not finite where an element is not. */
function meanMagnitude(x: Tensor): Tensor {
  return x.gpu.keep(x.gpu.scope("mean magnitude", () => l1Loss(x, zeros(x.gpu, x.shape))));
}

/**
 * The first tensor that is not finite, in words: among the weights, then among what the operations of `loss` give, in
 * the order of the forward pass. Undefined where all are finite. Nothing is recorded: it takes the memory of inference.
 */
export async function firstNotFinite(parts: readonly TrainedPart[], loss: () => Tensor): Promise<string | undefined> {
  const names = new Map(parts.flatMap(({ folder, stored }) => [...stored].map(([name, { tensor }]) => [tensor.root, `${folder}/${name}`] as const)));
  const [{ gpu }] = names.keys();
  const checks: { name: string; magnitude: Tensor }[] = [...names].map(([tensor, name]) => ({ name: `the weight ${name}`, magnitude: meanMagnitude(tensor) }));
  const tape = new Tape(gpu, {
    records: false,
    onOutput(output, inputs) {
      const [weight] = Object.values(inputs).flatMap((input) => (input && names.get(input.root)) ?? []);
      const scope = gpu.scopeName.replace(/^forward\//, "");
      const name = `${weight ? `what comes of ${weight}` : `an output in ${scope}`}, [${output.shape}],`;
      checks.push({ name, magnitude: withTape(gpu, undefined, () => meanMagnitude(output)) });
    },
  });
  tape.watch(names.keys());
  gpu.scope("forward", () => tape.run(loss));
  const values: number[] = [];
  for (const { magnitude } of checks) {
    values.push((await magnitude.read())[0]);
    magnitude.free();
  }
  return checks[values.findIndex((value) => !Number.isFinite(value))]?.name;
}
