import { readFileSync } from 'node:fs';

import { UsageError } from './usage-error.ts';

/**
 * Bytes as a person names them: a text, `@FILE` for what is in a file, `-` for standard input (null here), `@@…` for a text that
 * begins with `@`.
 */
export function bytesArgument(word: string): Uint8Array | null {
  if (word === '-') return null;
  if (word.startsWith('@@')) return Buffer.from(word.slice(1), 'utf8');
  if (!word.startsWith('@')) return Buffer.from(word, 'utf8');
  const path = word.slice(1);
  try {
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(
      code === 'ENOENT' ? `${path}: no such file` : `cannot read ${path}: ${message}`,
    );
  }
}

/** All of an input. */
export async function allBytes(input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of input) pieces.push(piece);
  return Buffer.concat(pieces);
}
