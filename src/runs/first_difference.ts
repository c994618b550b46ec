/** The first place at which two JSON values differ, in words. */
export function firstDifference(stored: unknown, wanted: unknown, path = ""): string | undefined {
  if (!isBranch(stored) || !isBranch(wanted)) {
    return Object.is(stored, wanted) ? undefined : `${path} is ${JSON.stringify(stored) ?? "absent"} there and ${JSON.stringify(wanted) ?? "absent"} here`;
  }
  for (const key of new Set([...Object.keys(stored), ...Object.keys(wanted)])) {
    const difference = firstDifference(stored[key], wanted[key], path ? `${path}.${key}` : key);
    if (difference) return difference;
  }
  return undefined;
}

function isBranch(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
