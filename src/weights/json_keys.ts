/**
 * First key that some object of a JSON text has twice, or undefined: `JSON.parse` keeps the last in silence.
 * @param text valid JSON
 */
export function duplicateKey(text: string): string | undefined {
  const scopes: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "{") scopes.push(new Set());
    else if (text[at] === "}") scopes.pop();
    else if (text[at] === '"') {
      const start = at;
      at = closingQuote(text, start);
      if (!followedByColon(text, at)) continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      const keys = scopes[scopes.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function closingQuote(text: string, openingQuote: number): number {
  for (let end = text.indexOf('"', openingQuote + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

function followedByColon(text: string, quote: number): boolean {
  let at = quote + 1;
  while (" \t\r\n".includes(text[at])) at++;
  return text[at] === ":";
}
