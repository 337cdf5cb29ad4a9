/** Bytes and texts of strangers as something a terminal can show. */
import { isUtf8 } from 'node:buffer';

const HEX_BYTES = 32;

/** Control characters, line ends and what turns the direction of text: they could move the cursor, or lie about what is there. */
const unsafe = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One line, in which nothing is acted on by a terminal. */
export function printableText(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return short[character] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/**
 * Text as it is, JSON of several lines in one, other bytes by size and first bytes. At most `charactersMax` of it, and then
 * how much there is.
 */
export function printableBytes(bytes: Buffer, charactersMax: number = Infinity): string {
  if (!isUtf8(bytes)) {
    const more = bytes.length > HEX_BYTES ? '…' : '';
    return `<${bytesText(bytes.length)}: ${bytes.toString('hex', 0, HEX_BYTES)}${more}>`;
  }
  const text = printableText(inOneLine(bytes.toString('utf8')));
  if (text.length <= charactersMax) return text;
  return `${text.slice(0, charactersMax)}… (${bytesText(bytes.length)})`;
}

function inOneLine(text: string): string {
  if (!/^\s*[[{]/.test(text) || !/[\n\r\t]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

/** `12 bytes`, `3.4 KiB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  let value = bytes;
  let unit = -1;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit] ?? ''}`;
}
