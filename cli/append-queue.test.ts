import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import type { AppendResult } from '../client/index.ts';
import { AppendQueue } from './append-queue.ts';

interface Asked {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A queue, what it has asked for, and what it has told. */
class Bench {
  readonly asked: Asked[] = [];
  readonly told: (number | string)[] = [];
  readonly queue = new AppendQueue({
    appended: (result) => {
      this.told.push(result.partition);
      return Promise.resolve();
    },
    failed: (error, lineNumber) => {
      this.told.push(`${lineNumber}: ${(error as Error).message}`);
    },
  });

  add(lineNumber: number, bytes = 1): Promise<void> {
    const append = (): Promise<AppendResult> =>
      new Promise((resolve, reject) => {
        const result = { partition: lineNumber, partitionKey: '', events: [] };
        this.asked.push({ resolve: () => resolve(result), reject });
      });
    return this.queue.add(append, lineNumber, bytes);
  }
}

describe('appends under way', () => {
  it('are told in their order, each as soon as all before it', async () => {
    const bench = new Bench();
    for (const line of [1, 2, 3]) await bench.add(line);
    bench.asked[2]?.resolve();
    await setImmediate();
    assert.deepEqual(bench.told, []);
    bench.asked[0]?.resolve();
    await setImmediate();
    assert.deepEqual(bench.told, [1]);
    bench.asked[1]?.reject(new Error('no'));
    await bench.queue.settled();
    assert.deepEqual(bench.told, [1, '2: no', 3]);
  });

  it('are few', async () => {
    const bench = new Bench();
    const adding = (async (): Promise<void> => {
      for (let line = 0; line < 1000; line += 1) await bench.add(line);
    })();
    await setImmediate();
    assert.equal(bench.asked.length, 256);
    bench.asked[0]?.resolve();
    await setImmediate();
    assert.equal(bench.asked.length, 257);
    for (let i = 1; i < 1000; i += 1) {
      bench.asked[i]?.resolve();
      await setImmediate();
    }
    await adding;
    await bench.queue.settled();
    assert.equal(bench.told.length, 1000);
  });

  it('have few bytes, but one may be as large as it is', async () => {
    const bench = new Bench();
    await bench.add(1, 100_000_000);
    let isAdded = false;
    const second = bench.add(2, 1).then(() => (isAdded = true));
    await setImmediate();
    assert.equal(isAdded, false);
    bench.asked[0]?.resolve();
    await second;
    bench.asked[1]?.resolve();
    await bench.queue.settled();
  });
});
