/** A name or value out of an untrusted file, fit for one line of a message: control characters escaped, lists and long text cut. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) {
    const items = value.slice(0, 8).map((item) => (Array.isArray(item) ? "[…]" : shown(item)));
    return `[${items.join(", ")}${value.length > 8 ? ", …" : ""}]`;
  }
  if (typeof value !== "string") return typeof value === "object" && value !== null ? "an object" : String(value);
  const text = JSON.stringify(value.slice(0, 100)).replace(/[\x7f-\x9f\u2028\u2029]/g, "?");
  return value.length > 100 ? `${text}…` : text;
}
