import { join } from "node:path";
import { writeFileAtomically } from "../../weights/atomic_file_node.ts";
import { msCxrCoco } from "./coco.ts";
import { toCsv } from "./csv_node.ts";
import { mimicHeader, mimicLayout, mimicRow } from "./mimic_cxr.ts";
import { msCxrHeader, msCxrLayout, msCxrRows } from "./ms_cxr.ts";
import { mimicImage, msCxrPhrases, PHANTOM_RECORDS, type PhantomRecord } from "./phantom_record.ts";
import { readShard, type Shard } from "./phantom_shards_node.ts";

/** Writes the table of the films of zero to three findings. */
export async function writeMimicTable(folder: string, shards: readonly Shard[]): Promise<void> {
  await writeParts(join(folder, mimicLayout.fileName), toCsv([mimicHeader]), shards, (records) => toCsv(records.map((record) => mimicRow(mimicImage(record)))));
  await writeRecords(folder, shards);
}

/** Writes both tables of films whose findings have a phrase each. */
export async function writeMsCxrTables(folder: string, shards: readonly Shard[]): Promise<void> {
  const rows = (records: readonly PhantomRecord[]) => toCsv(records.flatMap(msCxrPhrases).flatMap(msCxrRows));
  await writeParts(join(folder, msCxrLayout.fileName), toCsv([msCxrHeader]), shards, rows);
  const phrases = (await Promise.all(shards.map(readShard))).flat().flatMap(msCxrPhrases);
  const coco = JSON.stringify(msCxrCoco(phrases, "synthetic radiographs of attnscope data phantom"), null, 1);
  await writeParts(join(folder, msCxrLayout.fileName.replace(/csv$/, "json")), new TextEncoder().encode(coco), [], toJsonLines);
  await writeRecords(folder, shards);
}

function writeRecords(folder: string, shards: readonly Shard[]): Promise<void> {
  return writeParts(join(folder, PHANTOM_RECORDS), new Uint8Array(), shards, toJsonLines);
}

function toJsonLines(records: readonly PhantomRecord[]): Uint8Array {
  return new TextEncoder().encode(records.map((record) => `${JSON.stringify(record)}\n`).join(""));
}

/** Writes a file of a head and a part for each shard, one shard in memory at a time. */
function writeParts(path: string, head: Uint8Array, shards: readonly Shard[], part: (records: PhantomRecord[]) => Uint8Array): Promise<void> {
  return writeFileAtomically(path, async (sink) => {
    await sink.write(head);
    for (const shard of shards) await sink.write(part(await readShard(shard)));
  });
}
