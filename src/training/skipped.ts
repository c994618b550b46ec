import { InputError } from "../errors.ts";

/** The samples of a data set that cannot be used: told of, counted, and no more than a share of all. */
export interface Skipped {
  /** Rows that were left out. */
  readonly count: number;
  /** Leaves a row out. @throws InputError where that is one too many */
  leaveOut(line: number, fact: string): void;
  /** Says how many samples are left, so that the share is known. @throws InputError where it is exceeded already */
  limit(usable: number): void;
}

/** Counts the rows of `file` that are left out; `tell` prints a line for people. `share`: how many may be, of all. */
export function skippedSamples(file: string, share: number, tell: (line: string) => void): Skipped {
  const lines = new Set<number>();
  let total = Infinity;
  const check = () => {
    const most = Math.floor(share * total);
    if (lines.size > most) throw new InputError(file, `${lines.size} of ${total} samples cannot be used, more than the ${most} that a share of ${share} allows; attnscope data check lists them, --skip-share allows more`);
  };
  return {
    get count() {
      return lines.size;
    },
    leaveOut(line, fact) {
      tell(`${file}:${line}: ${fact}; left out`);
      lines.add(line);
      check();
    },
    limit(usable) {
      total = usable + lines.size;
      check();
    },
  };
}
