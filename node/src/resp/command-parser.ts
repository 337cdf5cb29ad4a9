/**
 * The only place that touches `redis-parser`. It is a parser of replies and unsafe with hostile input, so it is handed
 * nothing but whole commands that the scanner has approved; a whole command also never enters its shared buffer pool:
 * the arguments are slices of the bytes given.
 */
import RedisParser from 'redis-parser';

import { assert } from '../../../common/assert.ts';

let parsed: unknown = null;

const parser = new RedisParser({
  returnBuffers: true,
  // Numbers as text: the exact digits that were sent.
  stringNumbers: true,
  returnReply: (reply) => {
    parsed = reply;
  },
  returnError: (error) => {
    throw error;
  },
  returnFatalError: (error) => {
    throw error;
  },
});

/** The arguments of one whole, valid command. They are views of `bytes`: copy what outlives it. */
export function parseCommand(bytes: Buffer): Buffer[] {
  parser.execute(bytes);
  const reply = parsed;
  parsed = null;
  assert(Array.isArray(reply), 'a scanned command parses as an array');
  const elements = reply as (Buffer | string)[];
  for (let i = 0; i < elements.length; i += 1) {
    const element = elements[i];
    if (typeof element === 'string') elements[i] = Buffer.from(element, 'latin1');
  }
  return elements as Buffer[];
}
