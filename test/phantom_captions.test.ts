import assert from "node:assert/strict";
import { test } from "node:test";
import { type Caption, captionVocabulary, countWords, drawCaption, drawPhrase, MAX_CAPTION_WORDS } from "../src/data/phantom/captions.ts";
import { drawPhantomFilm } from "../src/data/phantom/film.ts";
import { drawFinding, drawFindings, type Finding, phantomLabels } from "../src/data/phantom/findings.ts";
import { createRandom } from "../src/random.ts";

const words = (text: string) => text.match(/[a-z]+|[^a-z\s]/g) ?? [];

/** Findings and their caption. */
function describe(number: number, bare = true): { findings: Finding[]; caption: Caption; phrases: string[] } {
  const random = createRandom(31, number);
  const findings = drawFindings(random, number % 4);
  const phrases = findings.map((finding) => drawPhrase(random, finding, bare));
  return { findings, caption: drawCaption(random, findings, phrases), phrases: phrases.map(({ text }) => text) };
}

test("the vocabulary holds the words of all captions, and no others", () => {
  const used = new Set<string>();
  for (let number = 0; number < 6000; number++) for (const word of words(describe(number).caption.text)) used.add(word);
  assert.deepEqual([...used].sort(), captionVocabulary());
  assert.ok(captionVocabulary().length <= 123, "with five special tokens it stays within 128");
});

test("segments are the phrases of the findings, the rest joins them", () => {
  for (let number = 0; number < 400; number++) {
    const { findings, caption, phrases } = describe(number);
    const spoken = caption.segments.filter(({ finding }) => finding !== null);
    assert.equal(spoken.length, findings.length);
    let end = 0;
    for (const segment of caption.segments) {
      const between = caption.text.slice(end, segment.start);
      assert.ok(segment.start === 0 ? between === "" : [" and ", " with ", ". ", ", "].includes(between), JSON.stringify(between));
      const text = caption.text.slice(segment.start, segment.end);
      if (segment.finding !== null) assert.equal(text, phrases[segment.finding]);
      else assert.match(text, /normal|clear|no acute/);
      end = segment.end;
    }
    assert.equal(end, caption.text.length);
  }
});

test("a segment's side is the one its words name", () => {
  for (let number = 0; number < 1500; number++) {
    for (const { start, end, side } of describe(number).caption.segments) {
      const text = ` ${describe(number).caption.text.slice(start, end).replaceAll("-", " ")} `;
      const named = (["left", "right"] as const).filter((word) => text.includes(` ${word} `) || (word === "left" && text.includes(" lingula ")));
      if (side === "left" || side === "right") assert.deepEqual(named, [side], text);
      else assert.deepEqual(named, [], text);
    }
  }
});

test("phrases say the zone that is meant", () => {
  const zoneWords = { upper: /upper|apex|apical/, mid: /mid|middle|lingula/, lower: /lower|base|basilar|costophrenic/, none: /./ };
  for (let number = 0; number < 1500; number++) {
    const random = createRandom(12, number);
    const finding = drawFinding(random, phantomLabels[number % 8]);
    const { text, zone } = drawPhrase(random, finding, false);
    assert.equal(zone, finding.zone);
    if (finding.label !== "Pleural Effusion") assert.match(text, zoneWords[zone], `${finding.label} ${zone}`);
  }
});

test("severity is told truly where it is told", () => {
  const order = [/\b(small|mild|mildly|faint)\b/, /\b(moderate|moderately|hazy)\b/, /\b(large|severe|severely)\b/];
  for (let number = 0; number < 1500; number++) {
    const random = createRandom(13, number);
    const finding = drawFinding(random, phantomLabels[number % 8]);
    const { text } = drawPhrase(random, finding, true);
    const told = order.findLastIndex((pattern) => pattern.test(text));
    if (told >= 0) assert.equal(told, finding.severity, `${finding.label}: ${text}`);
  }
});

test("some phrases leave the place out, but not those of the phrase sets", () => {
  const isPlaced = (text: string) => /left|right|lingula/.test(text);
  const sided = (set: "train" | "single") => {
    const findings = Array.from({ length: 64 }, (_, index) => drawPhantomFilm(6, set, index, 32).findings).flat();
    return findings.filter(({ side }) => side === "left" || side === "right");
  };
  assert.ok(sided("single").every(({ phrase }) => isPlaced(phrase)));
  const bare = sided("train").filter(({ phrase }) => !isPlaced(phrase)).length / sided("train").length;
  assert.ok(bare > 0.02 && bare < 0.3, `${bare} of the phrases`);
});

test("captions fit 32 tokens", () => {
  const captions = Array.from({ length: 120 }, (_, index) => drawPhantomFilm(6, "train", index, 32).caption);
  for (const caption of captions) assert.ok(countWords(caption) <= MAX_CAPTION_WORDS, caption);
  assert.ok(new Set(captions).size > 100, "captions repeat");
});
