/** Inline commands: a line of words, as typed into a terminal. Quoting follows Redis. */

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

const isBlank = (character: string): boolean =>
  character === ' ' ||
  character === '\t' ||
  character === '\r' ||
  character === '\v' ||
  character === '\f' ||
  character === '\0';

interface Word {
  readonly text: string;
  /** Offset behind the word. */
  readonly end: number;
}

/** Reads the escape behind the backslash at `at` inside double quotes. */
function readEscape(line: string, at: number): Word {
  const hex = /^x[0-9a-fA-F]{2}/.exec(line.slice(at + 1, at + 4));
  if (hex !== null) {
    return { text: String.fromCharCode(Number.parseInt(hex[0].slice(1), 16)), end: at + 4 };
  }
  const next = line.charAt(at + 1);
  return { text: escapes[next] ?? next, end: at + 2 };
}

/** Reads to the closing quote; null when it is missing or not followed by a blank. */
function readQuoted(line: string, at: number, quote: string): Word | null {
  let text = '';
  let place = at;
  while (place < line.length) {
    const character = line.charAt(place);
    if (character === quote) {
      const behind = place + 1;
      return behind === line.length || isBlank(line.charAt(behind)) ? { text, end: behind } : null;
    }
    if (character === '\\' && quote === '"' && place + 1 < line.length) {
      const escape = readEscape(line, place);
      text += escape.text;
      place = escape.end;
    } else if (character === '\\' && quote === "'" && line.charAt(place + 1) === "'") {
      text += "'";
      place += 2;
    } else {
      text += character;
      place += 1;
    }
  }
  return null;
}

/** One word: bare characters, which may end in a quoted part. */
function readWord(line: string, at: number): Word | null {
  let place = at;
  while (place < line.length && !isBlank(line.charAt(place))) {
    const character = line.charAt(place);
    if (character === '"' || character === "'") {
      const quoted = readQuoted(line, place + 1, character);
      return quoted && { text: line.slice(at, place) + quoted.text, end: quoted.end };
    }
    place += 1;
  }
  return { text: line.slice(at, place), end: place };
}

/** Splits a line (with or without its line end) into arguments; null for unbalanced quotes. A blank line has none. */
export function splitInlineCommand(bytes: Buffer): Buffer[] | null {
  const line = bytes.toString('latin1').replace(/\r?\n$/, '');
  const words: Buffer[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isBlank(line.charAt(at))) at += 1;
    if (at === line.length) return words;
    const word = readWord(line, at);
    if (word === null) return null;
    words.push(Buffer.from(word.text, 'latin1'));
    at = word.end;
  }
}
