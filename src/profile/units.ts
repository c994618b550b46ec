/** Milliseconds with three digits or more. */
export function formatMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(3);
}

/** A share in per cent. */
export function formatPercent(share: number): string {
  const percent = 100 * share;
  return `${percent.toFixed(Math.abs(percent) >= 9.95 ? 0 : 1)} %`;
}

/** A rate or an intensity with three digits. */
export function formatRate(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Bytes in MiB. */
export function formatMib(bytes: number): string {
  const mib = bytes / 2 ** 20;
  return `${mib.toFixed(mib >= 100 ? 0 : 1)} MiB`;
}
