/** The key that shares most with `wanted`, counted from both ends: another prefix, layer or spelling of it. */
export function nearestKey(wanted: string, keys: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let most = 0;
  for (const key of keys) {
    const start = commonStart(wanted, key);
    const shared = start + commonEnd(wanted.slice(start), key.slice(start));
    if (shared > most) [nearest, most] = [key, shared];
  }
  return nearest;
}

function commonStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

function commonEnd(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[a.length - 1 - length] === b[b.length - 1 - length]) length++;
  return length;
}
