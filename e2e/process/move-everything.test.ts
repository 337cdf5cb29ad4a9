/** Every bucket moves from members 1, 2, 3 to 2, 3, 4 at once while clients append: nothing is lost, and nobody waits for long. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Assignment, Member } from '../../common/assignment.ts';
import { clusterPaths } from '../../common/cluster-contract.ts';
import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle, statuses, until } from './testing/settle.ts';

/** Small files, so that segments are copied; a command waits for its leader as long as it does by default. */
const flags = (buckets: number): string[] => [
  ...['--set', 'segment.size_bytes=128KiB', '--set', 'journal.file_bytes=1MiB'],
  ...['--set', `bucket.count=${buckets}`, '--set', `partition.count=${2 * buckets}`],
  ...['--set', 'disk.reserve_bytes=0'],
];
/** Longer than a node lets a command wait. */
const CALL_MS = 15_000;

/** The next assignment: node 3 takes the place of node 0 in every bucket. */
function moved(current: Assignment, newcomer: Member): Assignment {
  const version = current.version + 1;
  const first = current.members.find(({ index }) => index === 0)?.id ?? assert.fail();
  const buckets = current.buckets.map((bucket) => ({
    ...bucket,
    replicas: bucket.replicas.map((replica) =>
      replica.member === first ? { member: newcomer.id, since: version } : replica,
    ),
    preferred: bucket.preferred === first ? newcomer.id : bucket.preferred,
  }));
  return { ...current, version, members: [...current.members, newcomer], buckets };
}

async function moveEverything(cluster: ClusterProcesses, member: string): Promise<void> {
  const url = `http://${cluster.addresses[1]}${clusterPaths.assignment}`;
  const current = (await (await fetch(url)).json()) as Assignment;
  const newcomer = { id: member, index: 3, address: cluster.addresses[3] ?? '' };
  const body = { replaces: current.version, assignment: moved(current, newcomer) };
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 204, await answer.text());
}

/** Whether node 0 holds nothing any more, and every bucket is led by one that stays, with no move under way. */
async function haveMoved(cluster: ClusterProcesses, buckets: number): Promise<boolean> {
  const [first, ...others] = await statuses(cluster);
  const led = others.flatMap((status) => status.buckets).filter(({ role }) => role === 'leader');
  return first?.buckets.length === 0 && led.length === buckets && led.every(({ move }) => !move);
}

describe(`every bucket moves, seed ${seed}`, () => {
  for (const buckets of [4, 64]) {
    it(`of ${buckets}, and loses nothing`, { timeout: 180_000 }, async (t) => {
      const random = seededRandom(seed);
      await using cluster = await ClusterProcesses.prepare(4, flags(buckets));
      cluster.founders = 3;
      const running = [0, 1, 2];
      await Promise.all(running.map((index) => cluster.restart(index)));
      await using load = new Load(cluster, random, {
        ...{ clients: 8, streams: 2 * buckets, payloadBytesMax: 2000, allowed: ['WRONGVER'] },
        ...{ through: () => running, callMs: CALL_MS },
      });
      await load.acknowledged(1000);
      const joining = cluster.restart(3);
      let member = '';
      await until(async () => {
        const status = await cluster.status(3).catch(() => null);
        member = status?.member ?? '';
        return status?.state === 'forming';
      });
      const usualMs = load.slowestMs();
      const beganMs = performance.now();
      await moveEverything(cluster, member);
      await joining;
      running.push(3);
      await until(() => haveMoved(cluster, buckets));
      const tookMs = performance.now() - beganMs;
      const slowestMs = load.slowestMs(beganMs);
      await load.acknowledged(100);
      const history = await load.stop();
      const figures = [tookMs, slowestMs, usualMs].map((ms) => `${Math.round(ms)} ms`);
      t.diagnostic(`moved in ${figures[0]}, slowest append ${figures[1]}, before ${figures[2]}`);
      t.diagnostic(load.describe());
      await settle(cluster, history);
    });
  }
});
