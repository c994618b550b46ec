import { randomValues, upload } from "../shaders-test/values.ts";
import { bytesOf } from "../src/ops/check.ts";
import { meanFilter3x3, resizeBilinear } from "../src/ops/image.ts";
import { benchMain } from "./harness.ts";

/** A film to SD 1.5's image size, a map to the image, and the mask's filter. */
await benchMain((gpu) => {
  const film = upload(gpu, randomValues(1024 * 1024, 1), [1, 1024, 1024, 1]);
  const map = upload(gpu, randomValues(64 * 64, 2), [1, 64, 64, 1]);
  const mask = upload(gpu, randomValues(512 * 512, 3), [1, 512, 512]);
  return [
    { name: "resize 1024 to 512", variant: "antialias", flops: 0, bytes: bytesOf(film) + 4 * 512 ** 2, run: () => resizeBilinear(film, 512, 512, { antialias: true }) },
    { name: "resize 64 to 512", variant: "", flops: 0, bytes: bytesOf(map) + 4 * 512 ** 2, run: () => resizeBilinear(map, 512, 512, { antialias: false }) },
    { name: "mean filter 512", variant: "", flops: 9 * mask.size, bytes: 2 * bytesOf(mask), run: () => meanFilter3x3(mask) },
  ];
});
