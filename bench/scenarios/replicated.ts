/** What copies cost: appends on three nodes, and what three nodes do when nobody asks for anything. */
import { setTimeout as delay } from 'node:timers/promises';

import { append, type Bench, cpuPerEvent, eventsPerSecond } from '../bench.ts';
import { Cluster } from '../cluster.ts';
import { processCpuSeconds } from '../machine.ts';
import { peerTraffic } from '../peer-traffic.ts';
import { formatNumber } from '../report.ts';

const STREAMS = 100_000;
const MANY_BUCKETS = 256;

const shapes = [
  { connections: 1, pipeline: 1, cpu: null },
  { connections: 64, pipeline: 1, cpu: { reach: 110, aim: 70 } },
  { connections: 64, pipeline: 16, cpu: { reach: 25, aim: 15 } },
] as const;

/** The same appends through three nodes with three copies of everything and with one. */
export async function replicated(bench: Bench): Promise<void> {
  await using three = await Cluster.start(bench, 'factor 3');
  await using one = await Cluster.start(bench, 'factor 1', { 'replication.factor': 1 });
  await warmUp(bench, three, one);
  const [ours, peer] = [three.contender(), one.contender()];
  for (const { cpu, ...shape } of shapes) {
    const name = `${String(shape.connections)}×${String(shape.pipeline)}`;
    const comparison = await bench.compare(ours, peer, append('random', STREAMS), shape);
    bench.addComparison(comparison, eventsPerSecond, {
      measure: `appends ${name}, factor 3 : factor 1`,
      unit: '/s',
      target: { judged: 'ratio', better: 'higher', reach: 0.35, aim: 0.5 },
    });
    bench.addComparison(comparison, cpuPerEvent, {
      measure: `appends ${name}, the same: CPU of all nodes`,
      unit: 'µs',
      target: cpu && { judged: 'ours', better: 'lower', ...cpu },
    });
    bench.addComparison(comparison, ({ latencyMs }) => latencyMs.p99, {
      measure: `appends ${name}, the same: p99`,
      unit: 'ms',
    });
  }
}

/** Many buckets on three nodes against the few of the default. */
export async function clusterBuckets(bench: Bench): Promise<void> {
  const partitions = { 'partition.count': MANY_BUCKETS };
  await using many = await Cluster.start(bench, '256 buckets', {
    ...partitions,
    'bucket.count': MANY_BUCKETS,
  });
  await using few = await Cluster.start(bench, '4 buckets', { ...partitions, 'bucket.count': 4 });
  await warmUp(bench, many, few);
  const shape = { connections: 64, pipeline: 1 };
  const workload = append('random', STREAMS);
  const comparison = await bench.compare(many.contender(), few.contender(), workload, shape);
  bench.addComparison(comparison, eventsPerSecond, {
    measure: 'three nodes, appends 64×1, 256 buckets : 4 buckets',
    unit: '/s',
    target: { judged: 'ratio', better: 'higher', reach: 0.8, aim: 1 },
  });
  bench.addComparison(comparison, cpuPerEvent, {
    measure: 'three nodes, the same: CPU of all nodes',
    unit: 'µs',
  });
}

/** All programs have met every path once before the first round counts. */
async function warmUp(bench: Bench, ...clusters: readonly Cluster[]): Promise<void> {
  const requests = bench.options.quick ? 20_000 : 100_000;
  const shape = { connections: 64, pipeline: 4 };
  for (const cluster of clusters) {
    await cluster.contender().fill(append('random', STREAMS), requests, shape);
  }
}

/** Before the watch begins: connections, just in time compilation and what follows an election are over. */
const REST_MS = 5000;

/** CPU of each of three nodes with many buckets that nobody uses, and what they say to each other. */
export async function clusterIdle(bench: Bench): Promise<void> {
  await using cluster = await Cluster.start(bench, '256 buckets', {
    'bucket.count': MANY_BUCKETS,
    'partition.count': MANY_BUCKETS,
  });
  await delay(bench.options.quick ? REST_MS / 5 : REST_MS);
  const cpu = (): number[] => cluster.nodes.map(({ pid }) => processCpuSeconds(pid) ?? 0);
  const traffic = (): Promise<number[]> => Promise.all(cluster.nodes.map(peerTraffic));
  const [cpuBefore, before] = [cpu(), await traffic()];
  const startedAt = performance.now();
  await delay(bench.sizes.idleSeconds * 1000);
  const [cpuAfter, after] = [cpu(), await traffic()];
  const seconds = (performance.now() - startedAt) / 1000;
  const perSecond = (from: readonly number[], to: readonly number[]): number[] =>
    to.map((value, i) => (value - (from[i] ?? 0)) / seconds);
  const otherNodes = cluster.nodes.length - 1;
  const quantity = `three idle nodes, ${String(MANY_BUCKETS)} buckets`;
  const percent = perSecond(cpuBefore, cpuAfter).map((cores) => cores * 100);
  const requests = perSecond(before, after).map((all) => all / otherNodes);
  bench.progress(`  CPU ${percent.map(formatNumber).join(', ')} %`);
  bench.progress(`  requests per second and peer ${requests.map(formatNumber).join(', ')}`);
  bench.addFigures([Math.max(...percent)], {
    measure: `${quantity}: CPU of the busiest`,
    unit: '%',
    target: { judged: 'ours', better: 'lower', reach: 3, aim: 1 },
  });
  bench.addFigures([Math.max(...requests)], {
    measure: `${quantity}: requests to a peer`,
    unit: '/s',
    target: { judged: 'ours', better: 'lower', reach: 20, aim: 10 },
  });
}
