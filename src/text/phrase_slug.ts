/** Folder names for phrases. */

/** Characters of the words; a hash may follow them. */
const longest = 60;

/**
 * A phrase as a folder name: lower-case ASCII letters and digits joined by dashes, 1 to 69 characters, safe on every
 * file system. "Small left pleural effusion." gives `small-left-pleural-effusion`. Where letters were lost (a cut, a
 * character outside ASCII, no letter at all) a hash of the whole phrase follows, so that such phrases stay apart.
 * Phrases that differ in case or punctuation alone share a name.
 */
export function phraseSlug(phrase: string): string {
  const words = phrase.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const slug = words.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  const isWhole = slug !== "" && slug.length <= longest && /^\p{ASCII}*$/u.test(phrase);
  if (isWhole) return slug;
  return [slug.slice(0, longest).replace(/-$/, ""), fnv1a(phrase)].filter((part) => part !== "").join("-");
}

/** 32-bit FNV-1a of the UTF-8 bytes, as 8 hexadecimal digits. */
function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
