import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../../common/random.ts';
import { ManualTimers } from './testing/manual-timers.ts';
import { WorkQueue } from './work-queue.ts';

/** A queue whose work goes on until the test ends it. */
function heldQueue(concurrency = 4): {
  queue: WorkQueue;
  timers: ManualTimers;
  begun: string[];
  end: (key: string, error?: Error) => Promise<void>;
} {
  const timers = new ManualTimers();
  const begun: string[] = [];
  const held = new Map<string, PromiseWithResolvers<void>>();
  const queue = new WorkQueue(
    (key) => {
      assert.ok(!held.has(key), `${key} is worked on twice at once`);
      begun.push(key);
      const work = Promise.withResolvers<void>();
      held.set(key, work);
      return work.promise;
    },
    { concurrency, timers, random: seededRandom(1) },
  );
  const end = async (key: string, error?: Error): Promise<void> => {
    const work = held.get(key);
    held.delete(key);
    if (error === undefined) work?.resolve();
    else work?.reject(error);
    await timers.advance(0);
  };
  return { queue, timers, begun, end };
}

describe('WorkQueue', () => {
  it('works on a key once, however often it was added', async () => {
    const { queue, begun, end } = heldQueue();
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    assert.equal(queue.depth, 2);
    assert.deepEqual(begun, []);
    queue.start();
    assert.deepEqual(begun, ['a', 'b']);
    await end('a');
    await end('b');
    assert.deepEqual(begun, ['a', 'b']);
  });

  it('works again on a key that was added meanwhile, when the first time has ended', async () => {
    const { queue, begun, end } = heldQueue();
    queue.start();
    queue.add('a');
    queue.add('a');
    queue.add('a');
    assert.deepEqual(begun, ['a']);
    await end('a');
    assert.deepEqual(begun, ['a', 'a']);
    await end('a');
    assert.deepEqual(begun, ['a', 'a']);
  });

  it('works on so many keys at the same time, in their order', async () => {
    const { queue, begun, end } = heldQueue(2);
    queue.start();
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    assert.deepEqual(begun, ['a', 'b']);
    await end('b');
    assert.deepEqual(begun, ['a', 'b', 'c']);
    assert.equal(queue.depth, 1);
  });

  it('tries again after longer and longer, and forgets that when it went well', async () => {
    const { queue, timers, begun, end } = heldQueue();
    queue.start();
    queue.add('a');
    const delays: number[] = [];
    for (let failure = 1; failure <= 8; failure += 1) {
      await end('a', new Error('not yet'));
      const [delay = 0] = timers.delays;
      delays.push(delay);
      await timers.advance(delay);
      assert.equal(begun.length, failure + 1);
    }
    delays.forEach((delay, n) => {
      const limit = Math.min(500 * 2 ** n, 30_000);
      assert.ok(delay >= limit / 2 && delay <= limit, `${delay} of ${limit}`);
    });
    assert.equal(queue.failingCount, 1);
    await end('a');
    assert.equal(queue.failingCount, 0);
    queue.add('a');
    await end('a', new Error('again'));
    assert.ok(timers.delays[0]! <= 500);
  });

  it('does not keep a key waiting that is added while it is to be tried again', async () => {
    const { queue, begun, end } = heldQueue();
    queue.start();
    queue.add('a');
    await end('a', new Error('not yet'));
    queue.add('a');
    assert.deepEqual(begun, ['a', 'a']);
  });

  it('adds a key later, at the sooner of two times', async () => {
    const { queue, timers, begun, end } = heldQueue();
    queue.start();
    queue.addAfter('a', 1000);
    queue.addAfter('a', 5000);
    queue.addAfter('b', 5000);
    queue.addAfter('b', 1000);
    await timers.advance(999);
    assert.deepEqual(begun, []);
    await timers.advance(1);
    assert.deepEqual(begun, ['a', 'b']);
    await end('a');
    await end('b');
    await timers.advance(10_000);
    assert.deepEqual(begun, ['a', 'b']);
  });

  it('stops when what is under way has ended, and leaves no timers', async () => {
    const { queue, timers, begun, end } = heldQueue(1);
    queue.start();
    for (const key of ['a', 'b', 'a']) queue.add(key);
    queue.addAfter('c', 1000);
    let isStopped = false;
    const stopped = queue.stop().then(() => (isStopped = true));
    queue.add('d');
    queue.addAfter('d', 1);
    await timers.advance(2000);
    assert.equal(isStopped, false);
    await end('a', new Error('too late'));
    await stopped;
    assert.deepEqual(begun, ['a']);
    assert.deepEqual(timers.delays, []);
  });

  it('stops before it was started', async () => {
    await heldQueue().queue.stop();
  });
});
