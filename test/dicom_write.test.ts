import assert from "node:assert/strict";
import { describe, test } from "node:test";
import dicomParser, { type DataSet } from "dicom-parser";
import { decodeFilm } from "../src/data/decode_node.ts";
import { type DicomFiles, type DicomInputs, writeDicom } from "../src/data/dicom_write.ts";

/** An odd number of pixels, so that both files end with a padding byte. */
const [width, height] = [7, 5];
const inputs: DicomInputs = {
  overlay: { width, height, data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (37 * i) % 256) },
  mask: Uint8Array.from({ length: width * height }, (_, i) => (i % 3 === 1 || i > 30 ? 1 : 0)),
  phrase: "Erguß \\ links,\n胸水 ".repeat(9),
  version: "1.2.3",
};

const read = (files: DicomFiles) => ({ overlay: dicomParser.parseDicom(files.overlay), segmentation: dicomParser.parseDicom(files.segmentation) });

/** Values of an element, wherever in the data set it is. */
function valuesOf(dataSet: DataSet, tag: string): (string | undefined)[] {
  return Object.values(dataSet.elements).flatMap((element) => [
    ...(element.tag === tag ? [dataSet.string(tag)] : []),
    ...(element.items ?? []).flatMap((item) => (item.dataSet ? valuesOf(item.dataSet, tag) : [])),
  ]);
}

const tags = { instance: "x00080018", study: "x0020000d", series: "x0020000e", referencedInstance: "x00081155" };

describe("a grounding as DICOM", () => {
  test("shows the overlay to whoever reads it", async () => {
    const { overlay } = await writeDicom(inputs);
    const film = await decodeFilm(overlay, "overlay.dcm");
    assert.deepEqual([film.width, film.height, film.channels], [width, height, 3]);
    assert.deepEqual(film.data, Uint8Array.from(inputs.overlay.data.filter((_, i) => i % 4 !== 3)));
  });

  test("holds the mask, a bit a pixel, as a segment of the overlay", async () => {
    const { overlay, segmentation } = read(await writeDicom(inputs));
    const { dataOffset, length } = segmentation.elements.x7fe00010;
    const packed = segmentation.byteArray.subarray(dataOffset, dataOffset + length);
    assert.deepEqual(Array.from(inputs.mask, (_, i) => (packed[i >> 3] >> (i & 7)) & 1), [...inputs.mask]);
    assert.deepEqual([segmentation.uint16("x00280010"), segmentation.uint16("x00280011"), segmentation.uint16("x00280100")], [height, width, 1]);
    const [own, source] = [overlay.string(tags.instance), overlay.string(tags.series)];
    assert.deepEqual(valuesOf(segmentation, tags.referencedInstance), [own, own]);
    assert.deepEqual(valuesOf(segmentation, tags.series), [source, segmentation.string(tags.series)]);
    assert.equal(segmentation.string(tags.study), overlay.string(tags.study));
    assert.notEqual(segmentation.string(tags.series), source);
  });

  test("names the segment after the phrase, in one value of the length that DICOM allows", async () => {
    const { segmentation } = read(await writeDicom(inputs));
    const { dataSet } = segmentation.elements.x00620002.items?.[0] ?? {};
    const label = dataSet?.elements.x00620005;
    assert.ok(dataSet && label);
    const text = new TextDecoder().decode(dataSet.byteArray.subarray(label.dataOffset, label.dataOffset + label.length)).trimEnd();
    assert.match(text, /^Erguß links, 胸水 Erguß/);
    assert.ok(text.length <= 64 && text.length > 55);
  });

  test("says nothing of a patient or a study, and is another object every time", async () => {
    const [first, second] = [read(await writeDicom(inputs)), read(await writeDicom(inputs))];
    for (const dataSet of Object.values(first)) {
      const empty = ["x00100010", "x00100020", "x00100030", "x00100040", "x00080020", "x00080030", "x00080050", "x00080090", "x00200010"];
      assert.deepEqual(empty.map((tag) => dataSet.elements[tag]?.length), empty.map(() => 0));
      assert.deepEqual(Object.keys(dataSet.elements).filter((tag) => tag.startsWith("x0010")), empty.slice(0, 4));
    }
    const identifiers = [first, second].flatMap(({ overlay, segmentation }) => [
      ...[overlay, segmentation].flatMap((dataSet) => [dataSet.string(tags.instance), dataSet.string(tags.series)]),
      overlay.string(tags.study),
    ]);
    assert.equal(new Set(identifiers).size, identifiers.length);
    for (const identifier of identifiers) assert.match(identifier ?? "", /^2\.25\.[1-9]\d{0,38}$/);
  });
});
