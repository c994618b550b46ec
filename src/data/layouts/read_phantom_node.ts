import { open } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../errors.ts";
import { parseJson } from "../../weights/byte_source.ts";
import { PHANTOM_RECORDS, type PhantomRecord } from "./phantom_record.ts";

/**
 * What the generator knows of the films of a folder (`mimic-cxr-jpg`, `ms-cxr` or `ms-cxr-pairs` of a phantom), in the
 * order of its table.
 * @throws InputError where there are no such records
 */
export async function* readPhantomRecords(folder: string): AsyncGenerator<PhantomRecord> {
  const path = join(folder, PHANTOM_RECORDS);
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new InputError(path, `cannot be read (${cause.code}); make the data set with attnscope data phantom`, { cause });
  });
  try {
    for await (const line of file.readLines()) yield parseJson(path, line) as PhantomRecord;
  } finally {
    await file.close();
  }
}
