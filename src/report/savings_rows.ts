import type { Cost } from "../grounding/savings.ts";
import { formatBytes } from "../weights/inspect.ts";
import { formatCount } from "./numbers.ts";

/** One kind of work: what the run took, what the published procedure would have taken, and the share that was saved. */
export interface SavingsRow {
  what: string;
  taken: string;
  published: string;
  saved: string;
}

/** What a run saved against the published procedure. */
export function savingsRows({ published, ...taken }: Cost & { published: Cost }): SavingsRow[] {
  const row = (what: string, key: keyof Cost, format: (value: number) => string): SavingsRow => ({
    what,
    taken: format(taken[key]),
    published: format(published[key]),
    saved: formatShare(1 - taken[key] / published[key]),
  });
  return [
    row("U-Net evaluations", "unetEvaluations", formatCount),
    row("floating-point operations", "flops", formatFlops),
    row("bytes read back", "bytesReadBack", formatBytes),
  ];
}

function formatFlops(flops: number): string {
  const [unit, name] = flops >= 1e12 ? [1e12, "TFLOP"] : [1e9, "GFLOP"];
  return `${(flops / unit).toPrecision(3)} ${name}`;
}

/** A share in per cent; 100 % only where all was saved. */
function formatShare(share: number): string {
  const percent = 100 * share;
  return `${percent > 99 && percent < 100 ? (Math.floor(percent * 100) / 100).toFixed(2) : percent.toFixed(0)} %`;
}
