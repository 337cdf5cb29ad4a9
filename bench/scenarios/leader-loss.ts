/** For how long appends wait when a leader is killed, and when it is asked to stop. */
import { setTimeout as delay } from 'node:timers/promises';

import { defaultPartitionKey, partitionHash } from '../../common/ids.ts';
import { append, type Bench, SATURATING } from '../bench.ts';
import { Cluster } from '../cluster.ts';
import { firstAppend } from '../load/first-append.ts';
import type { LoadResult } from '../load/load-run.ts';
import { streamName } from '../load/requests.ts';

const STREAMS = 100_000;
const OUTAGE_MS_MAX = 60_000;

/** kill -9 of a node that leads, again and again: from the signal to the first append on each of its buckets. */
export async function failover(bench: Bench): Promise<void> {
  await using cluster = await Cluster.start(bench, 'killed');
  await cluster.contender().fill(append('random', STREAMS), 20_000, SATURATING);
  const outages: number[] = [];
  for (let kill = 0; kill < bench.sizes.failovers; kill += 1) {
    await cluster.settled();
    outages.push(...(await killLeader(bench, cluster)));
  }
  bench.addFigures([Math.max(...outages)], {
    measure: `kill -9 of a leader, worst of ${String(bench.sizes.failovers)}: first append on its last bucket`,
    unit: 'ms',
    target: { judged: 'ours', better: 'lower', reach: 3000, aim: 1500 },
  });
  bench.addFigures(outages, {
    measure: 'kill -9 of a leader: first append on a bucket',
    unit: 'ms',
  });
}

/** Milliseconds by bucket. */
async function killLeader(bench: Bench, cluster: Cluster): Promise<number[]> {
  const { index, buckets } = await cluster.busiestLeader();
  const { bucketCount, partitionCount } = await cluster.status(index);
  const ports = cluster.indices.filter((i) => i !== index).map((i) => cluster.node(i).port);
  const killedAt = performance.now();
  const killed = cluster.node(index).stop('SIGKILL');
  const outages = await Promise.all(
    buckets.map(async (bucket) => {
      await firstAppend(ports, streamIn(bucket, bucketCount, partitionCount), OUTAGE_MS_MAX);
      return performance.now() - killedAt;
    }),
  );
  await killed;
  const words = outages.map((ms) => ms.toFixed(0)).join(', ');
  bench.progress(`  node ${String(index)} killed: ${words} ms`);
  await cluster.restart(index);
  return outages;
}

/** Any stream that lies in the bucket. */
function streamIn(bucket: number, bucketCount: number, partitionCount: number): string {
  for (let stream = 0; ; stream += 1) {
    const name = streamName(stream);
    const partition = partitionHash(defaultPartitionKey(Buffer.from(name))) % partitionCount;
    if (partition % bucketCount === bucket) return name;
  }
}

const HANDOVER_SECONDS = 4;
/** The signal comes in the middle of what is measured. */
const SIGNAL_MS = 2500;

/** SIGTERM of a node that leads while clients append through the others: the slowest append. */
export async function handover(bench: Bench): Promise<void> {
  await using cluster = await Cluster.start(bench, 'asked to stop');
  await cluster.contender().fill(append('random', STREAMS), 50_000, SATURATING);
  const undisturbed: number[] = [];
  const worst: number[] = [];
  const { rounds } = bench;
  for (let round = 0; round < rounds; round += 1) {
    await cluster.settled();
    const { index } = await cluster.busiestLeader();
    undisturbed.push((await load(bench, cluster, index, round)).latencyMs.max);
    const [result] = await Promise.all([
      load(bench, cluster, index, round),
      delay(SIGNAL_MS).then(() => cluster.node(index).stop('SIGTERM')),
    ]);
    worst.push(result.latencyMs.max);
    bench.progress(
      `  node ${String(index)} stopped: worst append ${result.latencyMs.max.toFixed(0)} ms, ` +
        `without that ${undisturbed.at(-1)?.toFixed(0) ?? ''} ms`,
    );
    await cluster.restart(index);
  }
  bench.addFigures(
    worst,
    {
      measure: 'SIGTERM of a leader, worst append 64×1 : without it',
      unit: 'ms',
      target: { judged: 'ours', better: 'lower', reach: 300, aim: 100 },
    },
    undisturbed,
  );
}

/** Appends through all nodes but one. Rejects when one of them is refused. */
function load(bench: Bench, cluster: Cluster, without: number, round: number): Promise<LoadResult> {
  const used = cluster.indices.filter((index) => index !== without);
  return bench.load.run({
    workload: append('random', STREAMS),
    dialect: 'sierradb',
    ports: used.map((index) => cluster.node(index).port),
    serverPids: used.map((index) => cluster.node(index).pid),
    connections: 64,
    pipeline: 1,
    length: { kind: 'time', warmUpSeconds: 0.5, seconds: HANDOVER_SECONDS },
    seed: round + 1,
  });
}
