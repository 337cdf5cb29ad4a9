/** Sequences of 32-bit words, for derived files whose contents are typed arrays. In this machine's byte order. */

/** Takes words out of a sequence in the order in which they were put in. */
export class WordReader {
  readonly #words: Uint32Array;
  #at = 0;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** The next word. Behind the end it is 0: the caller's checksum has made sure that nothing ends early. */
  next(): number {
    return this.#words[this.#at++] ?? 0;
  }

  /** A whole number that took two words. */
  nextLarge(): number {
    return this.next() + this.next() * 2 ** 32;
  }

  /** A list with its length in front, in an array of its own. */
  nextList(): Uint32Array<ArrayBuffer> {
    const length = this.next();
    const list = this.#words.slice(this.#at, this.#at + length);
    this.#at += length;
    return list;
  }
}

/** The two words of a whole number below 2^53. */
export const largeWords = (value: number): [low: number, high: number] => [
  value % 2 ** 32,
  Math.floor(value / 2 ** 32),
];

/** A list as {@link WordReader.nextList} takes it. Not copied: write it before the list changes. */
export const listWords = (list: Uint32Array): Uint32Array[] => [Uint32Array.of(list.length), list];
