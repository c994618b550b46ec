import type { PhantomRecord } from "../data/layouts/phantom_record.ts";
import type { CaptionSegment } from "../data/phantom/captions.ts";
import type { PhantomFinding } from "../data/phantom/film.ts";
import { type Side, type Zone, phantomLabels } from "../data/phantom/findings.ts";
import type { AttributeDataset, TextSegment } from "./encoder_training.ts";

const sides: readonly Side[] = ["left", "right", "both", "none"];
const zones: readonly Zone[] = ["upper", "mid", "lower", "none"];
/** The class of statements that something is normal. */
const NORMAL = phantomLabels.length;

/** The phantom's captions with what their words speak of: the label of the finding, side and zone as far as they are told. */
export function phantomAttributes(records: readonly Pick<PhantomRecord, "caption" | "segments" | "findings">[]): AttributeDataset {
  return {
    count: records.length,
    classes: { label: phantomLabels.length + 1, side: sides.length, zone: zones.length },
    read(sample) {
      const { caption, segments, findings } = records[sample];
      return { text: caption, segments: segments.map((segment) => textSegment(segment, findings)) };
    },
  };
}

function textSegment({ start, end, finding, side, zone }: CaptionSegment, findings: readonly PhantomFinding[]): TextSegment {
  const label = finding === null ? NORMAL : phantomLabels.indexOf(findings[finding].label);
  return { start, end, label, side: sides.indexOf(side), zone: zones.indexOf(zone) };
}
