import { backward } from "../src/autograd.ts";
import { bytesOf } from "../src/ops/check.ts";
import { crossEntropyLoss, klLoss, mseLoss } from "../src/ops/loss.ts";
import { scale } from "../src/ops/pointwise.ts";
import { Tape } from "../src/tape.ts";
import type { Tensor } from "../src/tensor.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { benchMain, together } from "./harness.ts";

await benchMain((gpu) => {
  const dloss = upload(gpu, Float32Array.of(1), [1]);
  const images = [4, 256, 256, 3];
  const [x, y] = [1, 2].map((seed) => upload(gpu, randomValues(4 * 256 * 256 * 3, seed), images));
  const [rows, vocabulary] = [128, 30_522];
  const logits = upload(gpu, randomValues(rows * vocabulary, 3), [rows, vocabulary]);
  const targets = gpu.tensor(Uint32Array.from({ length: rows }, (_, i) => 37 * i), [rows]);
  /** Forward alone, and forward with its backward pass, which reads the inputs again and writes their gradients. */
  const cases = (name: string, inputs: Tensor[], watched: Tensor[], run: () => Tensor) => {
    const bytes = bytesOf(...inputs);
    const both = () => {
      const tape = new Tape(gpu);
      tape.watch(watched);
      const gradients = gpu.scope("bench", () => backward(tape, tape.run(run), dloss));
      return together(watched.map((tensor) => gradients.get(tensor)));
    };
    return [
      { name, variant: "forward", flops: 0, bytes, run: () => gpu.scope("bench", run) },
      { name, variant: "and backward", flops: 0, bytes: 2 * bytes + bytesOf(...watched), run: both },
    ];
  };
  return [
    { name: `copy ${images}`, variant: "copy", flops: 0, bytes: 2 * bytesOf(x), run: () => scale(x, 1) },
    ...cases(`mse ${images}`, [x, y], [x], () => mseLoss(x, y)),
    ...cases(`kl ${images}`, [x, y], [x, y], () => klLoss(x, y)),
    ...cases(`cross entropy ${rows}x${vocabulary}`, [logits], [logits], () => crossEntropyLoss(logits, targets)),
    ...cases(`cross entropy ${rows}x${vocabulary} naive`, [logits], [logits], () => crossEntropyLoss(logits, targets, { variant: "naive" })),
  ];
});
