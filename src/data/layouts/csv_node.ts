import { createReadStream } from "node:fs";
import { parse } from "csv-parse";
import { stringify } from "csv-stringify/sync";
import { InputError } from "../../errors.ts";
import type { TableRecord } from "./layout.ts";

/**
 * Reads a CSV file record by record. A malformed one is told of, and reading goes on behind it.
 * @throws InputError where the file cannot be read
 */
export async function* readCsv(path: string): AsyncGenerator<TableRecord> {
  const records: TableRecord[] = [];
  const parser = parse({
    bom: true,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    // Takes each record when it is parsed: those before an error are not lost with the stream's buffer.
    on_record: (fields: string[], { lines }) => {
      records.push({ line: lines - countNewlines(fields), fields });
      return null;
    },
    on_skip: (error) => {
      const line = Number(error?.lines ?? 0);
      const isTold = records.some((record) => "fact" in record && record.line === line);
      if (!isTold) records.push({ line, fact: "is malformed CSV: a quote in it is not doubled or not closed" });
      return undefined;
    },
  });
  parser.resume();
  const settle = (start: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
  for await (const chunk of readBytes(path)) {
    await settle((done) => parser.write(chunk, done));
    yield* records.splice(0);
  }
  await settle((done) => parser.end(done));
  yield* records.splice(0);
}

async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path);
  } catch (cause) {
    throw new InputError(path, `cannot be read (${(cause as NodeJS.ErrnoException).code}); check the path and its permissions`, { cause });
  }
}

function countNewlines(fields: readonly string[]): number {
  return fields.reduce((sum, field) => sum + (field.split("\n").length - 1), 0);
}

/** Rows as CSV, each ended by a line feed. */
export function toCsv(rows: readonly (readonly (string | number)[])[]): Uint8Array {
  return new TextEncoder().encode(stringify(rows as (string | number)[][]));
}
