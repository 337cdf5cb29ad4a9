import assert from 'node:assert/strict';

import type { EventStore } from '../types.ts';
import type { ModelTransaction, StoreModel } from './model.ts';

/**
 * After a crash: finds out how much of each bucket's log is there, and cuts the model to it. All that is certain must be
 * there, and of the rest a part from the front; whole transactions only.
 */
export async function settleFates(store: EventStore, model: StoreModel): Promise<void> {
  for (let bucket = 0; bucket < model.options.bucketCount; bucket += 1) {
    const log = model.log(bucket);
    const kept = await countKept(store, log);
    const lost = log.slice(kept).find(({ certain }) => certain);
    if (lost !== undefined) {
      const { partition, firstSequence } = lost;
      const last = await store.partitionSequence(partition);
      assert.fail(
        `an append that was answered is lost: partition ${partition}, sequence ${firstSequence}; ` +
          `the last one there is ${last}`,
      );
    }
    model.keep(bucket, kept);
  }
}

async function countKept(store: EventStore, log: readonly ModelTransaction[]): Promise<number> {
  for (const [i, { partition, firstSequence, events }] of log.entries()) {
    const next = ((await store.partitionSequence(partition)) ?? -1) + 1;
    if (next >= firstSequence + events.length) continue;
    assert(next <= firstSequence, 'a transaction is there whole or not at all');
    return i;
  }
  return log.length;
}
