/**
 * Part-of-speech tagging of English by wink-nlp and its lite web model. Both load when the first phrase is tagged:
 * they are the largest part of the library by far, and only lexical filtering needs them.
 */
import type { PartOfSpeech, WinkMethods } from "wink-nlp";

let loaded: Promise<WinkMethods> | undefined;

/**
 * One Universal POS tag for each word, from the words joined by spaces.
 * @param words words without white space, in order
 * @returns a tag for each; where the tagger cuts a word further ("right-sided"), that of its last part
 */
export async function tagWords(words: readonly string[]): Promise<PartOfSpeech[]> {
  loaded ??= load().catch((error) => {
    loaded = undefined; // a download that failed may be tried again
    throw error;
  });
  const { readDoc, its } = await loaded;
  const tokens = readDoc(words.join(" ")).tokens();
  const values = tokens.out(its.value) as string[];
  const tags = tokens.out(its.pos) as PartOfSpeech[];
  const result: PartOfSpeech[] = [];
  let token = 0;
  for (const word of words) {
    let length = 0;
    while (length < word.length) length += values[token++].length;
    result.push(tags[token - 1]);
  }
  return result;
}

async function load(): Promise<WinkMethods> {
  const [{ default: winkNLP }, { default: model }] = await Promise.all([
    import("wink-nlp"),
    import("wink-eng-lite-web-model"),
  ]);
  return winkNLP(model, ["pos"]);
}
