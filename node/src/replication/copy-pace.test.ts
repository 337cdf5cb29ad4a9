import assert from 'node:assert/strict';
import test from 'node:test';

import { ClientWatch } from './client-watch.ts';
import { CopyPace } from './copy-pace.ts';

test('copies rest while clients append, here or there, and not otherwise', async () => {
  let [now, isBusy] = [0, false];
  const rests: number[] = [];
  const sleep = (ms: number): Promise<void> => {
    rests.push(ms);
    return Promise.resolve();
  };
  const pace = new CopyPace({ share: 0.2, isBusy: () => isBusy, now: () => now, sleep });
  const work = async (ms: number, isSourceBusy: boolean, haste = 1): Promise<void> => {
    const begun = pace.begin();
    now += ms;
    begun.end();
    // The event loop is somebody else's before the rest begins.
    now += 1000;
    await begun.rest({ isSourceBusy, haste }, AbortSignal.abort());
  };
  await work(10, false);
  assert.deepEqual(rests, []);
  await work(10, true);
  isBusy = true;
  await work(5, false);
  // A copy that falls behind takes more, at last everything.
  await work(10, true, 2);
  await work(10, true, 8);
  // A process that was stopped for an hour does not rest for four.
  await work(3_600_000, true);
  assert.deepEqual(rests, [40, 20, 15, 100]);
});

test('clients are seen by what is committed in logs that no copy fills', () => {
  let now = 0;
  const groups = [{ appliedIndex: 10 }, { appliedIndex: 0 }] as const;
  const [led, copied] = groups as unknown as { appliedIndex: number }[];
  assert(led !== undefined && copied !== undefined);
  const watch = new ClientWatch({
    groups: () => [led, copied],
    isCopying: (group) => group === copied,
    now: () => now,
  });
  const after = (ms: number): boolean => {
    now += ms;
    return watch.areActive();
  };
  assert.equal(after(0), false);
  copied.appliedIndex += 1000;
  assert.equal(after(200), false);
  led.appliedIndex += 1;
  // Not looked at more often than that.
  assert.equal(after(50), false);
  assert.equal(after(100), true);
  assert.equal(after(900), true);
  assert.equal(after(200), false);
  // What went on since nobody has looked may be over.
  led.appliedIndex += 1;
  assert.equal(after(5000), false);
});
