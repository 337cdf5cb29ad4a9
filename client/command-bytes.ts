export type Word = string | number | Uint8Array;

/** A command as it is sent: an array of blobs, in one piece of bytes. */
export function commandBytes(words: readonly Word[]): Buffer {
  const parts = words.map((word) => (typeof word === 'number' ? String(word) : word));
  const heads = parts.map((part) => `$${lengthOf(part)}\r\n`);
  const first = `*${parts.length}\r\n`;
  let total = first.length;
  for (let i = 0; i < parts.length; i += 1) {
    total += (heads[i] ?? '').length + lengthOf(parts[i] ?? '') + 2;
  }
  const bytes = Buffer.allocUnsafe(total);
  let at = bytes.write(first, 0, 'latin1');
  for (let i = 0; i < parts.length; i += 1) {
    at += bytes.write(heads[i] ?? '', at, 'latin1');
    const part = parts[i] ?? '';
    if (typeof part === 'string') {
      at += bytes.write(part, at, 'utf8');
    } else {
      bytes.set(part, at);
      at += part.length;
    }
    at += bytes.write('\r\n', at, 'latin1');
  }
  return bytes;
}

const lengthOf = (part: string | Uint8Array): number =>
  typeof part === 'string' ? Buffer.byteLength(part, 'utf8') : part.length;
