/**
 * A member that is down while much is written: the journals of the others have forgotten it all, so it copies segments, and
 * then goes on as if it had been there.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import type { NodeProcess } from '../testing/node-process.ts';
import { WireClient } from '../testing/wire-client.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle, until } from './testing/settle.ts';

/** Five times what all files of the journal hold. */
const EVENTS = 2000;
const PAYLOAD = 'y'.repeat(10_000);
/** Few enough for what a small journal lets wait for a majority. */
const IN_FLIGHT = 8;

/** Written as fast as the nodes take it, to streams that nobody else uses; how often each event is there is not asked. */
async function writeMuch(cluster: ClusterProcesses, index: number): Promise<void> {
  using client = await WireClient.connect(cluster.node(index).port);
  let left = EVENTS;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const stream = `bulk-${left % 64}`;
      await client.call('EAPPEND', stream, 'Written', 'PAYLOAD', PAYLOAD).catch(tryAnother);
    }
  };
  const tryAnother = ({ message }: Error): void => {
    assert.match(message, /^(QUORUMFAILED|TRYAGAIN|BUFFERFULL)/);
    left += 1;
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

/** Of frames, from segments of other members. */
async function copiedBytes(node: NodeProcess): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${node.adminPort}/metrics`);
  const line = /^sierradb_catch_up_bytes_total (\d+)/m.exec(await answer.text());
  return Number(line?.[1] ?? 0);
}

describe(`a member that was down for long, seed ${seed}`, () => {
  it('catches up under load, and holds the same bytes', limits, async (t) => {
    const random = seededRandom(seed);
    await using cluster = await ClusterProcesses.start(3, flags);
    await using load = new Load(cluster, random);
    await load.acknowledged(50);
    const victim = random.below(3);
    cluster.node(victim).kill();
    await cluster.node(victim).exited;
    await load.acknowledged(50);
    await writeMuch(cluster, (victim + 1) % 3);
    const again = await cluster.restart(victim);
    await load.acknowledged(200);
    await until(async () => (await copiedBytes(again)) > 0);
    const history = await load.stop();
    t.diagnostic(load.describe());
    t.diagnostic(
      `${Math.round((EVENTS * PAYLOAD.length) / 2 ** 20)} MiB written while it was down`,
    );
    await settle(cluster, history, (stream) => stream.startsWith('bulk-'));
  });
});
