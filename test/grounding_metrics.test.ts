import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { argmax, resizeBilinear, resizeMask } from "../src/grounding/maps.ts";
import type { Box } from "../src/data/preprocess.ts";
import { groundingMetrics, inBoxes } from "../src/grounding/metrics.ts";
import { maskRegions } from "../src/grounding/regions.ts";
import { readGolden } from "./golden.ts";
import { needsShared } from "./shared.ts";

const maskOf = (...rows: string[]) => Uint8Array.from(rows.join(""), Number);

describe("scaling", () => {
  test("bilinear with half-pixel centres and repeated edges", () => {
    const wide = resizeBilinear([0, 1, 2, 3], 2, 4);
    const column = [0, 0.25, 0.75, 1];
    assert.deepEqual([...wide], column.flatMap((y) => column.map((x) => 2 * y + x)));
    assert.deepEqual([...resizeBilinear([5], 1, 3)], Array(9).fill(5));
    assert.deepEqual([...resizeBilinear([1, 2, 3, 4], 2, 2)], [1, 2, 3, 4]);
  });

  test("a mask's half becomes background", () => {
    assert.deepEqual(resizeMask([0, 1, 0, 1], 2, 3), maskOf("001", "001", "001"));
  });

  test("argmax is the first of equal values", () => {
    assert.deepEqual(argmax([0, 2, 1, 0, 2, 2], 3), { x: 1, y: 0 });
    assert.deepEqual(argmax([0, 0, 0, 0, 0, 3], 3), { x: 2, y: 1 });
  });
});

describe("regions", () => {
  test("corners connect; the largest comes first; activation is a mean over the region", () => {
    const mask = maskOf("10000", "01000", "00000", "00111", "00101");
    const map = Float64Array.from(mask, (value, i) => (i === 14 ? 4 : value));
    const regions = maskRegions({ map, mask, side: 5, imageSize: 5 });
    assert.deepEqual(regions, [
      { box: [2, 3, 3, 2], area: 5, meanActivation: 1 },
      { box: [0, 0, 2, 2], area: 2, meanActivation: 1 },
    ]);
  });

  test("boxes are those of the image", () => {
    const mask = maskOf("0000", "0110", "0110", "0000");
    const [region, ...others] = maskRegions({ map: mask, mask, side: 4, imageSize: 32 });
    assert.deepEqual(region.box, [8, 8, 16, 16]);
    assert.deepEqual(others, []);
  });

  test("an empty mask has none, a full one has one", () => {
    const map = new Float32Array(9).fill(0.5);
    assert.deepEqual(maskRegions({ map, mask: new Uint8Array(9), side: 3, imageSize: 6 }), []);
    const full = maskRegions({ map, mask: new Uint8Array(9).fill(1), side: 3, imageSize: 6 });
    assert.deepEqual(full, [{ box: [0, 0, 6, 6], area: 36, meanActivation: 0.5 }]);
  });
});

describe("metrics of small maps", () => {
  const boxes: Box[] = [[1, 1, 2, 2]];
  const inputs = { map: [0, 0, 0, 0, 0, 9, 8, 1, 0, 7, 9, 1, 1, 1, 1, 1], mask: maskOf("0000", "0111", "0111", "0000"), side: 4, imageSize: 4, boxes };

  test("by hand", () => {
    const metrics = groundingMetrics(inputs);
    assert.equal(metrics.iou, 4 / 6);
    assert.equal(metrics.miou, (4 / 6 + 10 / 12) / 2);
    // The mask's rectangle is columns 1 to 3, rows 1 to 2, its last column and row left out.
    assert.equal(metrics.boxIou, 2 / 4);
    assert.equal(metrics.boxMiou, (2 / 4 + 12 / 14) / 2);
    assert.equal(metrics.distance, 0.5);
    assert.equal(metrics.aucRoc, 1);
    assert.equal(metrics.top1, 1);
    const inside = 33 / 36;
    const outside = 6 / 108;
    const insideVariance = (2 * (1 - inside) ** 2 + (8 / 9 - inside) ** 2 + (7 / 9 - inside) ** 2) / 3;
    const outsideVariance = (6 * (1 / 9 - outside) ** 2 + 6 * outside ** 2) / 11;
    assert.ok(Math.abs(metrics.cnr - (inside - outside) / Math.sqrt(insideVariance + outsideVariance)) < 1e-6);
  });

  test("ties count half in AUC-ROC; a weaker inside has a negative CNR", () => {
    const map = inputs.map.map((value) => Number(value <= 1)); // 1 outside, 0 inside
    map[0] = 0;
    map[5] = 1;
    const { aucRoc, cnr, absoluteCnr, top1 } = groundingMetrics({ ...inputs, map });
    assert.equal(aucRoc, (1 * (1 + 11 / 2) + 3 * (1 / 2)) / 48);
    assert.ok(cnr < 0);
    assert.equal(absoluteCnr, -cnr);
    assert.equal(top1, 0);
  });

  test("an empty mask scores 0 on everything", () => {
    assert.ok(Object.values(groundingMetrics({ ...inputs, mask: new Uint8Array(16) })).every((value) => value === 0));
  });

  test("several boxes have no distance; boxes may reach over the edge", () => {
    const { distance, iou } = groundingMetrics({ ...inputs, boxes: [[-2, 1, 6, 2], [3, 0, 9, 1]] });
    assert.equal(distance, undefined);
    assert.equal(iou, 6 / 9);
  });

  test("points in boxes", () => {
    assert.deepEqual([0, 1, 2, 3].map((x) => inBoxes({ x, y: 1 }, boxes)), [false, true, true, false]);
    assert.equal(inBoxes({ x: 1, y: 3 }, boxes), false);
  });
});

type GoldenMetrics = Record<"iou" | "miou" | "bboxiou" | "bboxmiou" | "cnr" | "aucroc" | "top1", number> & { distance: number | null };

function assertMetrics(map: Float32Array, mask: Float32Array, boxes: Box[], golden: GoldenMetrics) {
  const metrics = groundingMetrics({ map, mask, side: 64, imageSize: 512, boxes });
  const pairs: [number, number][] = [
    [metrics.iou, golden.iou],
    [metrics.miou, golden.miou],
    [metrics.boxIou, golden.bboxiou],
    [metrics.boxMiou, golden.bboxmiou],
    [metrics.cnr, golden.cnr],
    [metrics.absoluteCnr, Math.abs(golden.cnr)],
    [metrics.aucRoc, golden.aucroc],
    [metrics.top1, golden.top1],
  ];
  for (const [actual, expected] of pairs) assert.ok(Math.abs(actual - expected) < 2e-6, `${JSON.stringify(metrics)} against ${JSON.stringify(golden)}`);
  if (golden.distance === null) assert.equal(metrics.distance, undefined);
  else assert.ok(Math.abs(metrics.distance! - golden.distance) < 1e-9);
}

test("metrics of the synthetic goldens", needsShared("goldens/maps.safetensors"), async () => {
  const { tensors, metadata } = await readGolden("goldens/maps.safetensors");
  const cases = JSON.parse(metadata.cases) as { boxes_xywh: Box[]; metrics: GoldenMetrics }[];
  for (const [i, { boxes_xywh: boxes, metrics }] of cases.entries()) {
    assertMetrics(tensors.get(`${i}.a`)!.data, tensors.get(`${i}.mask`)!.data, boxes, metrics);
  }
});

test("metrics of the grounding goldens", needsShared("goldens/ground.safetensors"), async () => {
  const { tensors, metadata } = await readGolden("goldens/ground.safetensors");
  const boxes = JSON.parse(metadata.boxes) as Record<string, Box[]>;
  const cases = JSON.parse(metadata.cases) as ({ image: string } & Record<string, GoldenMetrics>)[];
  const sources = { P_comb: "paper.P_comb", mixture: "paper.mixture", compat: "compat.map" };
  for (const [i, golden] of cases.entries()) {
    for (const [name, source] of Object.entries(sources)) {
      assertMetrics(tensors.get(`${i}.${source}`)!.data, tensors.get(`${i}.mask.${name}`)!.data, boxes[golden.image], golden[`metrics.${name}`]);
    }
  }
});
