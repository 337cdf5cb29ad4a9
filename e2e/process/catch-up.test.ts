/**
 * A member that is down while much is written: the journals of the others have forgotten it all, so it copies segments, and
 * then goes on as if it had been there; clients keep working. `CATCH_UP_MIB` says how much, in segments as large as by default where it
 * is much:
 *
 * ```sh
 * CATCH_UP_MIB=1024 npm run test:process -- e2e/process/catch-up.test.ts
 * ```
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import type { NodeProcess } from '../testing/node-process.ts';
import { WireClient } from '../testing/wire-client.ts';
import { flags, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle, settleBytes, until } from './testing/settle.ts';

const MEBIBYTE = 2 ** 20;
/** By default five times what all files of the journal hold. */
const MISSED_BYTES = Number(process.env['CATCH_UP_MIB'] ?? 20) * MEBIBYTE;
const isMuch = MISSED_BYTES > 100 * MEBIBYTE;
const PAYLOAD = 'y'.repeat(isMuch ? 100_000 : 10_000);
const EVENTS = Math.ceil(MISSED_BYTES / PAYLOAD.length);
/** The journal of others must not hold it all, and segments are many or large. */
const settings = isMuch ? ['--set', 'network.request_timeout_ms=5000'] : flags;
const limits = { timeout: isMuch ? 900_000 : 180_000 };
/** Events of the load between two looks at how fast it is. */
const MEASURED = 200;
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

/** Appends of the load per second. */
async function rate(load: Load): Promise<number> {
  const startedAt = performance.now();
  await load.acknowledged(MEASURED);
  return (1000 * MEASURED) / (performance.now() - startedAt);
}

describe(`a member that was down for long, seed ${seed}`, () => {
  it('catches up under load, and holds the same bytes', limits, async (t) => {
    const random = seededRandom(seed);
    await using cluster = await ClusterProcesses.start(3, settings);
    await using load = new Load(cluster, random);
    await load.acknowledged(50);
    const victim = random.below(3);
    cluster.node(victim).kill();
    await cluster.node(victim).exited;
    await load.acknowledged(50);
    await writeMuch(cluster, (victim + 1) % 3);
    const alone = await rate(load);
    const startedAt = performance.now();
    const again = await cluster.restart(victim);
    const beside = await rate(load);
    await until(async () => (await copiedBytes(again)) > 0.9 * MISSED_BYTES);
    const seconds = (performance.now() - startedAt) / 1000;
    const history = await load.stop();
    const megabytes = MISSED_BYTES / 1e6;
    t.diagnostic(`${megabytes.toFixed(0)} MB copied ${seconds.toFixed(1)} s after the start`);
    t.diagnostic(`load: ${alone.toFixed(0)}/s while it was down, ${beside.toFixed(0)}/s beside`);
    t.diagnostic(load.describe());
    if (isMuch) await settleBytes(cluster);
    else await settle(cluster, history, (stream) => stream.startsWith('bulk-'));
  });
});
