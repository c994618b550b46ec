import type { Gpu } from "../src/gpu/gpu.ts";
import { bytesOf } from "../src/ops/check.ts";
import { type Conv2dBackwardOptions, conv2d, conv2dBackward } from "../src/ops/conv.ts";
import { linear, linearBackward } from "../src/ops/matmul.ts";
import { type ConvCase, convBench, productBench } from "../shaders-test/product_cases.ts";
import { convSides } from "../shaders-test/product_reference.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { type BenchCase, benchMain, together } from "./harness.ts";

const none = { x: false, skip: false, weight: false, bias: false, shift: false, residual: false };

/** Operations past which the naive kernel would take minutes. */
const naiveFlops = 5e8;

/** The forward pass and each gradient of one layer: all of the same number of products, each moves all three tensors. */
function cases({ name, flops, bytes }: Pick<BenchCase, "name" | "flops" | "bytes">, forward: BenchCase["run"], input: BenchCase["run"], weight: BenchCase["run"], naive: BenchCase["run"]): BenchCase[] {
  const runs = { forward, dx: input, dweight: weight, ...(flops < naiveFlops && { "dweight naive": naive }) };
  return Object.entries(runs).map(([variant, run]) => ({ name, variant, flops, bytes, run }));
}

function linearCases(gpu: Gpu, [name, [batches, M, K, N], dtype]: (typeof productBench)[number]): BenchCase[] {
  if (dtype === "f16" && !gpu.has("shader-f16")) return [];
  const x = upload(gpu, randomValues(batches * M * K, 1), [batches, M, K]);
  const weight = upload(gpu, randomValues(K * N, 2, dtype), [K, N], dtype);
  const dy = upload(gpu, randomValues(batches * M * N, 3), [batches, M, N]);
  const gradient = (wanted: "x" | "weight", variant?: "naive") => () => together(Object.values(linearBackward(dy, { x, weight }, { ...none, [wanted]: true }, { variant })));
  return cases({ name, flops: 2 * batches * M * N * K, bytes: bytesOf(x, weight, dy) }, () => linear(x, { weight }), gradient("x"), gradient("weight"), gradient("weight", "naive"));
}

function convCases(gpu: Gpu, shape: ConvCase): BenchCase[] {
  const { batches, height, width, c1, c2, cOut, kernel, padding, stride, upsample } = shape;
  const [out_height, out_width] = convSides(shape);
  const x = upload(gpu, randomValues(batches * height * width * c1, 1), [batches, height, width, c1]);
  const weight = upload(gpu, randomValues(kernel[0] * kernel[1] * c1 * cOut, 2), [...kernel, c1, cOut]);
  const dy = upload(gpu, randomValues(batches * out_height * out_width * cOut, 3), [batches, out_height, out_width, cOut]);
  const sizes = { batches, height, width, c1, c2, out_height, out_width, c_out: cOut, kernel, padding: [padding[0], padding[1]] as const, stride };
  const options: Conv2dBackwardOptions = { shape: sizes, upsample };
  const gradient = (wanted: "x" | "weight", variant?: "naive") => () =>
    together(Object.values(conv2dBackward(dy, { x, weight }, { ...none, [wanted]: true }, { ...options, variant })));
  const kind = `${kernel.join("x")}${stride === 2 ? " stride 2" : ""}${upsample ? " upsampled" : ""}`;
  const name = `conv ${kind} ${batches}x${height}x${width}, ${c1} to ${cOut}`;
  const flops = 2 * dy.size * kernel[0] * kernel[1] * c1;
  return cases({ name, flops, bytes: bytesOf(x, weight, dy) }, () => conv2d(x, { weight, padding, stride, upsample }), gradient("x"), gradient("weight"), gradient("weight", "naive"));
}

/** What the U-Net has beside the convolutions that are timed forward. */
const samplers: readonly ConvCase[] = [
  { ...convBench[0], stride: 2 },
  { ...convBench[0], height: 16, width: 16, upsample: true },
];

await benchMain((gpu) => [...productBench.flatMap((sizes) => linearCases(gpu, sizes)), ...[...convBench, ...samplers].flatMap((shape) => convCases(gpu, shape))]);
