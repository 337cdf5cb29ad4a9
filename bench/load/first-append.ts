/** One event for a stream, tried through several nodes until one of them has acknowledged it. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { ReplyCounter } from './reply-counter.ts';
import { encodeCommand, EVENT_NAME } from './requests.ts';

/** What a client that has no better idea waits before it asks the next node. */
const PAUSE_MS = 5;

/** Resolves with the number of attempts. Rejects when none has succeeded within `msMax`. */
export async function firstAppend(
  ports: readonly number[],
  stream: string,
  msMax: number,
): Promise<number> {
  // The same id each time: an attempt that was done without an answer is not done again.
  const command = encodeCommand('EAPPEND', stream, EVENT_NAME, 'EVENT_ID', randomUUID());
  const deadline = performance.now() + msMax;
  let failure = '';
  for (let attempt = 1; performance.now() < deadline; attempt += 1) {
    try {
      await ask(ports[attempt % ports.length] ?? 0, command);
      return attempt;
    } catch (error) {
      failure = (error as Error).message;
    }
    await delay(PAUSE_MS);
  }
  throw new Error(`no append to ${stream} within ${String(msMax)} ms: ${failure}`);
}

/** Rejects when the reply is an error. */
async function ask(port: number, command: string): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const replies = new ReplyCounter();
  try {
    const closed = once(socket, 'close').then(() => {
      throw new Error('the node closed the connection');
    });
    closed.catch(() => undefined);
    socket.write(command);
    while (replies.replies === 0) {
      const [chunk] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer];
      replies.feed(chunk);
    }
  } finally {
    socket.destroy();
  }
  if (replies.firstError !== null) throw new Error(replies.firstError);
}
