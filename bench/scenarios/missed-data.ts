/** A node comes back that has missed much. */
import { append, type Bench, type Contender, eventsPerSecond, SATURATING } from '../bench.ts';
import { Cluster, isSettled } from '../cluster.ts';
import { dataFiles, firstDifference } from '../data-files.ts';
import type { LoadResult } from '../load/load-run.ts';
import type { TransactionWorkload } from '../load/requests.ts';

const STREAMS = 100_000;
const MEBIBYTE = 1024 * 1024;
const EVENT_BYTES = 340;
const TRANSACTION_EVENTS = 100;
/** Clients add entries all the time; a replica that lacks no more than these keeps up. */
const LAG_MAX = 2000;

/** What it copies per second while nobody else asks for anything, and what clients get meanwhile when somebody does. */
export async function catchUpSegments(bench: Bench): Promise<void> {
  await using cluster = await Cluster.start(bench, 'two of three');
  const clients = cluster.contender([0, 1]);
  await clients.fill(append('random', STREAMS), 50_000, SATURATING);
  await missed(bench, cluster, clients);
  const copied = await comesBack(cluster);
  bench.addFigures([copied.megabytes / copied.seconds], {
    measure: `${copied.megabytes.toFixed(0)} MB missed, clients idle: copied`,
    unit: 'MB/s',
    target: { judged: 'ours', better: 'higher', reach: 100, aim: 300 },
    note: `${copied.seconds.toFixed(2)} s from the first answer of the node until it had everything`,
  });
  if (process.env['ONLY_IDLE']) return;
  await missed(bench, cluster, clients);
  await besideClients(bench, cluster, clients);
  await haveEqualBytes(bench, cluster);
}

const ABSENT = 2;

/** Stops the node, and writes what it will have missed. */
async function missed(bench: Bench, cluster: Cluster, clients: Contender): Promise<void> {
  await cluster.settled();
  await cluster.node(ABSENT).stop('SIGTERM');
  const events = (bench.sizes.missedMebibytes * MEBIBYTE) / EVENT_BYTES;
  const workload: TransactionWorkload = { kind: 'transaction', events: TRANSACTION_EVENTS };
  await clients.fill(workload, Math.ceil(events / TRANSACTION_EVENTS), {
    connections: 64,
    pipeline: 1,
  });
}

interface Copied {
  readonly megabytes: number;
  readonly seconds: number;
}

async function comesBack(cluster: Cluster): Promise<Copied> {
  const { directory } = cluster.node(ABSENT);
  const before = dataFiles(directory).logBytes;
  await cluster.restart(ABSENT);
  const startedAt = performance.now();
  await cluster.settled();
  const seconds = (performance.now() - startedAt) / 1000;
  const there = dataFiles(cluster.node(0).directory).logBytes;
  return { megabytes: (there - before) / 1e6, seconds };
}

/** Appends through the two others before it is back, and while it copies. */
async function besideClients(bench: Bench, cluster: Cluster, clients: Contender): Promise<void> {
  const shape = { connections: 64, pipeline: 1 };
  const alone = await clients.measure(append('random', STREAMS), shape, 0);
  const { directory } = cluster.node(ABSENT);
  const before = dataFiles(directory).logBytes;
  await cluster.restart(ABSENT);
  const startedAt = performance.now();
  const beside: LoadResult[] = [];
  do beside.push(await shortRun(bench, clients, beside.length));
  while (!isSettled(await cluster.statuses(), LAG_MAX));
  const seconds = (performance.now() - startedAt) / 1000;
  const megabytes = (dataFiles(cluster.node(0).directory).logBytes - before) / 1e6;
  const events = beside.reduce((sum, result) => sum + result.events, 0);
  const measuredSeconds = beside.reduce((sum, result) => sum + result.seconds, 0);
  bench.addFigures(
    [events / measuredSeconds],
    {
      measure: 'appends 64×1, a node catches up : it is down',
      unit: '/s',
      target: { judged: 'ratio', better: 'higher', reach: 0.6, aim: 0.8 },
      note: `${megabytes.toFixed(0)} MB in ${seconds.toFixed(1)} s beside the clients`,
    },
    [eventsPerSecond(alone)],
  );
}

function shortRun(bench: Bench, clients: Contender, round: number): Promise<LoadResult> {
  return clients.measure(append('random', STREAMS), { connections: 64, pipeline: 1 }, round, {
    warmUpSeconds: 0.1,
    seconds: Math.min(1, bench.sizes.seconds),
  });
}

/** Rejects when the segments of the nodes are not the same to the last byte. */
async function haveEqualBytes(bench: Bench, cluster: Cluster): Promise<void> {
  await cluster.settled();
  await Promise.all(cluster.nodes.map((node) => node.stop('SIGTERM')));
  const [first = '', ...others] = cluster.nodes.map(({ directory }) => directory);
  for (const other of others) {
    const difference = await firstDifference(first, other);
    if (difference !== null) throw new Error(`the nodes differ: ${difference}`);
  }
  const { logBytes } = dataFiles(first);
  bench.progress(`  all nodes have the same ${(logBytes / 1e6).toFixed(0)} MB`);
}
