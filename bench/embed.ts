import { randomValues, upload } from "../shaders-test/values.ts";
import { bytesOf } from "../src/ops/check.ts";
import { embedding, timestepEmbedding } from "../src/ops/embed.ts";
import { benchMain } from "./harness.ts";

/** BERT-base's word table at 77 tokens of 8 texts, and the timestep embedding of SD 1.5 for 50 timesteps. */
await benchMain((gpu) => {
  const [rows, channels, tokens] = [30_522, 768, 8 * 77];
  const table = upload(gpu, randomValues(rows * channels, 1), [rows, channels]);
  const ids = gpu.tensor(Uint32Array.from({ length: tokens }, (_, i) => (i * 7919) % rows), [tokens]);
  const timesteps = gpu.tensor(Float32Array.from({ length: 50 }, (_, i) => 981 - 20 * i), [50]);
  return [
    { name: `embedding ${tokens} of ${rows}x${channels}`, variant: "", flops: 0, bytes: 8 * tokens * channels, run: () => embedding(ids, table) },
    {
      name: "timestep embedding 50x320",
      variant: "",
      flops: 0,
      bytes: bytesOf(timesteps) + 4 * 50 * 320,
      run: () => timestepEmbedding(timesteps, { dim: 320, flipSinToCos: true, freqShift: 0, dtype: "f32" }),
    },
  ];
});
