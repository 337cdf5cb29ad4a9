import { UsageError } from './usage-error.ts';

/** The lines of an input in UTF-8, without their ends, whatever pieces they come in. Throws `UsageError`. */
export async function* linesOf(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  // A long line comes in many pieces, which are looked at once.
  let open: string[] = [];
  for await (const piece of input) {
    const [first = '', ...others] = decoded(() => decoder.decode(piece, { stream: true })).split(
      '\n',
    );
    open.push(first);
    for (const other of others) {
      yield withoutReturn(open.join(''));
      open = [other];
    }
  }
  const last = open.join('') + decoded(() => decoder.decode());
  if (last !== '') yield withoutReturn(last);
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);

function decoded(decode: () => string): string {
  try {
    return decode();
  } catch {
    throw new UsageError('standard input is no UTF-8');
  }
}
