import { readFile } from "node:fs/promises";
import { InputError } from "../../errors.ts";
import { parseJson } from "../../weights/byte_source.ts";
import { cocoRecords } from "./coco.ts";
import { readCsv } from "./csv_node.ts";
import type { Layout, RowValues, TableForm, TableRecord } from "./layout.ts";

/** A row that is whole, and the form of the table it is from. */
export interface TableRow {
  readonly line: number;
  readonly values: RowValues;
  readonly form: TableForm;
}

/** The rows of a data set's table that are whole and not there already; `tell` hears of the others. */
export async function* readRows(file: string, layout: Layout, tell: (line: number, fact: string) => void): AsyncGenerator<TableRow> {
  const seen = new Map<string, number>();
  let header: readonly string[] | undefined;
  let form = layout.forms[0];
  for await (const record of readRecords(file)) {
    if ("fact" in record) {
      tell(record.line, record.fact);
    } else if (!header) {
      header = record.fields.map((field) => layout.aliases?.[field.trim()] ?? field.trim());
      form = closestForm(layout, header);
      const missing = missingColumns(form, header);
      if (missing.length > 0) return tell(record.line, `lacks columns of the ${layout.name} layout: ${missing.join(", ")}`);
    } else if (record.fields.length !== header.length) {
      tell(record.line, `has ${record.fields.length} fields where the header has ${header.length}`);
    } else {
      const values = Object.fromEntries(header.map((name, i) => [name, record.fields[i].trim()]));
      const { key, name } = form.identity(values);
      const first = seen.get(key);
      if (first === undefined || key === "") yield { line: record.line, values, form };
      else tell(record.line, `${name} is there already, on line ${first}`);
      seen.set(key, first ?? record.line);
    }
  }
  if (!header) tell(1, "is empty");
}

/** A CSV file, or a JSON file in the COCO format. */
async function* readRecords(file: string): AsyncGenerator<TableRecord> {
  if (!/\.json$/i.test(file)) return yield* readCsv(file);
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new InputError(file, `cannot be read (${cause.code}); check the path and its permissions`, { cause });
  });
  yield* cocoRecords(file, parseJson(file, text));
}

/** The form of which a header lacks least. */
function closestForm({ forms }: Layout, header: readonly string[]): TableForm {
  const [first, ...others] = forms;
  return others.reduce((best, form) => (missingColumns(form, header).length < missingColumns(best, header).length ? form : best), first);
}

function missingColumns({ columns }: TableForm, header: readonly string[]): string[] {
  return columns.filter((column) => !header.includes(column));
}
