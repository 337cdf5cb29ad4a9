/** The words of a command line, read by a command's table of flags. */
import { parseUuid, uuidText } from '../common/ids.ts';
import { nearest } from '../common/nearest.ts';
import { UsageError } from './usage-error.ts';

export interface Flag {
  /** What stands behind it, for the help text: `N`, `FILE`; null for a switch. */
  readonly value: string | null;
  readonly doc: string;
  /** One letter. */
  readonly short?: string;
  /** May be given more than once. */
  readonly isList?: true;
}

/** By name, without dashes. */
export type FlagTable = Readonly<Record<string, Flag>>;

/** Throws `UsageError`, with the nearest flag where one is unknown. */
export function parseLine(given: readonly string[], flags: FlagTable): Line {
  const line = new Line(flags);
  const rest = [...given];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') line.words.push(...rest.splice(0));
    else if (word.startsWith('-') && word !== '-') line.add(word, rest);
    else line.words.push(word);
  }
  return line;
}

export class Line {
  /** What is no flag. */
  readonly words: string[] = [];
  readonly #flags: FlagTable;
  readonly #values = new Map<string, string[]>();

  constructor(flags: FlagTable) {
    this.#flags = flags;
  }

  /** Takes `--flag value`, `--flag=value`, `-f value` or `-fvalue`; the value may be the first of `rest`. */
  add(word: string, rest: string[]): void {
    const { name, inline } = this.#split(word);
    const flag = this.#flags[name];
    if (flag === undefined) throw new UsageError(`unknown flag ${word}${this.#meant(word)}`);
    if (flag.value === null) {
      if (inline !== null) throw new UsageError(`--${name} takes no value`);
      this.#values.set(name, []);
      return;
    }
    const value = inline ?? rest.shift();
    if (value === undefined) throw new UsageError(`--${name} needs a value: ${flag.value}`);
    const values = this.#values.get(name) ?? [];
    if (values.length > 0 && flag.isList !== true) throw new UsageError(`--${name} is given twice`);
    values.push(value);
    this.#values.set(name, values);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  texts(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A whole number from `min` on. */
  number(name: string, min = 0): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : wholeNumber(text, `--${name}`, min);
  }

  /** In its usual form. */
  uuid(name: string): string | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    return uuid(text) ?? refuse(`--${name} needs a UUID, but got ${text}`);
  }

  /** Of these flags at most one is given. */
  exclusive(...names: readonly string[]): void {
    const [first, second] = names.filter((name) => this.has(name));
    if (second !== undefined)
      throw new UsageError(`--${first ?? ''} and --${second} exclude each other`);
  }

  #split(word: string): { readonly name: string; readonly inline: string | null } {
    if (word.startsWith('--')) {
      const at = word.indexOf('=');
      if (at === -1) return { name: word.slice(2), inline: null };
      return { name: word.slice(2, at), inline: word.slice(at + 1) };
    }
    const letter = word.slice(1, 2);
    const known = Object.entries(this.#flags).find(([, { short }]) => short === letter);
    return { name: known?.[0] ?? word, inline: word.length > 2 ? word.slice(2) : null };
  }

  #meant(word: string): string {
    const near = nearest(
      word.replace(/=[^]*/, ''),
      Object.keys(this.#flags).map((name) => `--${name}`),
    );
    return near === null ? '' : `; did you mean ${near}?`;
  }
}

/** A whole number from `min` on. Throws `UsageError`. */
export function wholeNumber(text: string, what: string, min = 0): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new UsageError(`${what} needs a whole number from ${min} on, but got ${text}`);
}

/** The usual form of a UUID in any of its forms; null where it is none. */
export function uuid(text: string): string | null {
  const bytes = parseUuid(Buffer.from(text, 'utf8'));
  return bytes === null ? null : uuidText(bytes);
}

function refuse(sentence: string): never {
  throw new UsageError(sentence);
}
