/** Words of a list such as "a, b", as an option's value. */
export function words(text: string): string[] {
  return text.split(",").map((word) => word.trim());
}
