import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { seededRandom } from '../common/random.ts';
import { seeds, underSeed } from '../common/testing/seeds.ts';
import { type StoredEvent } from './index.ts';
import { type FakeEvent, type Peer } from './testing/fake-server.ts';
import { idsOf, withServer } from './testing/with-server.ts';

describe('random disconnects', () => {
  for (const seed of seeds(20)) {
    it(`seed ${seed}`, () => underSeed('client/subscription-seeds.test.ts', seed, () => run(seed)));
  }

  /** Every event once, in the order of its partition, whatever happens to the connections. */
  async function run(seed: number): Promise<void> {
    const random = seededRandom(seed);
    await withServer(async (server, client) => {
      const add = (): void =>
        void server.add(`s${random.below(6)}`, 'N', 'p'.repeat(random.below(50)));
      const hurt = (peer: Peer): void => {
        if (random.below(2) === 0) peer.drop();
        else peer.cutAfter(random.below(2000));
      };
      const before = random.below(60);
      for (let i = 0; i < before; i += 1) add();
      const isLatest = random.below(3) === 0;
      server.script = (_words, peer) => {
        if (random.below(8) === 0) hurt(peer);
        return false;
      };
      const subscription = client.subscribe({
        all: true,
        from: isLatest ? 'latest' : 0,
        window: 1 + random.below(12),
      });
      await subscription.ready;
      const total = 200;
      while (server.events.length < total / 2) add();
      const expected = isLatest ? server.events.slice(before) : server.events;
      const events: StoredEvent[] = [];
      for await (const event of subscription) {
        events.push(event);
        if (server.events.length < total) add();
        if (random.below(10) === 0) for (const peer of server.peers) hurt(peer);
        if (random.below(3) === 0) await setImmediate();
        if (events.length === total - (isLatest ? before : 0)) break;
      }
      const all = isLatest ? server.events.slice(before) : expected;
      for (let partition = 0; partition < 4; partition += 1) {
        const of = (list: readonly (StoredEvent | FakeEvent)[]): string[] =>
          idsOf(list.filter((event) => event.partition === partition));
        assert.deepEqual(of(events), of(all));
      }
    });
  }
});
