/** Rows in columns for a terminal: the first `names` columns to the left, numbers to the right. */
export function textTable(heads: readonly string[], rows: readonly (readonly string[])[], names: number): string {
  const lines = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const padded = (text: string, column: number) => (column < names ? text.padEnd(widths[column]) : text.padStart(widths[column]));
  return lines.map((line) => line.map(padded).join("  ").trimEnd()).join("\n");
}
