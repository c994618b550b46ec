/** Captions of the data sets, which may hold alternatives parted by `|`: evaluation takes the first, training a random one. */

/** All alternatives, without empty ones. */
export function alternatives(caption: string): string[] {
  return caption.split("|").map((part) => part.trim()).filter((part) => part !== "");
}

/** The alternative that evaluation uses: what stands before the first `|` (empty where nothing does). */
export function firstAlternative(caption: string): string {
  return caption.split("|", 1)[0].trim();
}
