// @ts-check
// Shortens WGSL for the browser bundle. Comments, spaces and declared names go; line breaks stay, so that the lines of
// compile errors hold. A name is shortened to the same letters wherever it stands, in every kernel: no scopes to follow,
// and text that repeats still repeats.

const tokenPattern = /\/\/[^\n]*|\n|[^\S\n]+|0[xX][\da-fA-F]+[iu]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fhiu]?|[A-Za-z_]\w*|->|==|!=|<=|>=|&&|\|\||\+\+|--|[-+*/%&|^]=|<<=?|>>=|./g;
const isName = /** @param {string} text */ (text) => /^[A-Za-z_]/.test(text);
const isWord = /** @param {string} text */ (text) => /^\w/.test(text);
/** Operators and comments that two neighbours would run together to. */
const joined = /^(?:->|==|!=|<=|>=|&&|\|\||\+\+|--|[-+*/%&|^]=|<<|>>|\/[/*])$/;
/** Vectors that WGSL has a shorter name for. */
const vectorType = /\bvec([234])<([fui])32>/g;
/** Names that may also be swizzles of a vector. */
const swizzle = /^(?:[xyzw]{1,4}|[rgba]{1,4})$/;
/** The keywords that a short name could be. */
const shortKeywords = ["as", "do", "fn", "if", "of"];
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/**
 * @param {string} source
 * @returns {string[]}
 */
function tokensOf(source) {
  return source.match(tokenPattern) ?? [];
}

/** @param {string} token */
const isGap = (token) => /^(?:\s|\/\/)/.test(token);

/**
 * Whether the name at `i` is none of the program's own: an attribute, a built-in value, an address space.
 * @param {readonly string[]} tokens without gaps
 * @param {number} i
 */
function isContextual(tokens, i) {
  const [before, previous] = [tokens[i - 2], tokens[i - 1]];
  return previous === "@" || (previous === "(" && before === "builtin") || (previous === "<" && (before === "var" || before === "ptr"));
}

/**
 * Whether the name at `i` is declared there.
 * @param {readonly string[]} tokens without gaps
 * @param {number} i
 */
function isDeclared(tokens, i) {
  if (["fn", "struct", "alias", "let", "const", "var"].includes(tokens[i - 1])) return true;
  if (tokens[i + 1] === ":") return tokens[i] !== "default" && tokens[i - 1] !== "case";
  return tokens[i - 1] === ">" && tokens.lastIndexOf("var", i) > tokens.lastIndexOf(";", i - 1) && tokens[tokens.lastIndexOf("var", i) + 1] === "<";
}

/**
 * Short names for what some sources declare, the most frequent first. Overrides, names of `kept` and `main`, which the
 * host knows, stay; so do names that may be swizzles, and declared names that are built-in functions elsewhere.
 * @param {readonly string[]} sources
 * @param {Iterable<string>} kept
 * @returns {Map<string, string>}
 */
export function shortNames(sources, kept) {
  const count = new Map();
  const declared = new Set();
  const functions = new Set();
  const called = new Set();
  const fixed = new Set([...kept, "main"]);
  for (const tokens of sources.map((source) => tokensOf(source).filter((token) => !isGap(token)))) {
    for (const [i, token] of tokens.entries()) {
      if (!isName(token)) continue;
      count.set(token, (count.get(token) ?? 0) + 1);
      if (isContextual(tokens, i)) continue;
      if (tokens[i - 1] === "override") fixed.add(token);
      if (isDeclared(tokens, i)) declared.add(token);
      if (["fn", "struct", "alias"].includes(tokens[i - 1])) functions.add(token);
      else if (tokens[i + 1] === "(") called.add(token);
    }
  }
  const isBuiltin = (/** @type {string} */ name) => called.has(name) && !functions.has(name);
  const long = [...declared].filter((name) => !fixed.has(name) && !swizzle.test(name) && !isBuiltin(name));
  const taken = new Set([...shortKeywords, ...count.keys()]);
  for (const name of long) taken.delete(name);
  const free = candidates(taken);
  return new Map(long.sort((a, b) => count.get(b) - count.get(a)).map((name) => [name, /** @type {string} */ (free.next().value)]));
}

/**
 * @param {ReadonlySet<string>} taken
 * @returns {Generator<string, void>}
 */
function* candidates(taken) {
  const isFree = (/** @type {string} */ name) => !taken.has(name) && !swizzle.test(name);
  yield* [...letters].filter(isFree);
  for (const first of letters) yield* [...`${letters}0123456789`].map((second) => first + second).filter(isFree);
}

/**
 * A source without comments and needless spaces, with short names.
 * @param {string} source
 * @param {ReadonlyMap<string, string>} names of `shortNames`
 * @returns {string} as many lines as the source
 */
export function minifyWgsl(source, names) {
  /** @type {string[]} */
  const seen = [];
  let text = "";
  let gap = false;
  for (const token of tokensOf(source)) {
    if (isGap(token)) {
      if (token === "\n") text += token;
      gap = true;
      continue;
    }
    seen.push(token);
    const short = isContextual(seen, seen.length - 1) ? token : (names.get(token) ?? token);
    const last = text.at(-1) ?? "\n";
    if (gap && ((isWord(last) && isWord(short)) || joined.test(last + short[0]))) text += " ";
    text += short;
    gap = false;
  }
  return text.replace(vectorType, "vec$1$2");
}
