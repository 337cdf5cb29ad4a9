import { append, type Bench, type Contender, cpuPerEvent, eventsPerSecond } from '../bench.ts';
import type { GetWorkload, ScanWorkload } from '../load/requests.ts';
import { segmentsOf } from '../servers.ts';

const READERS = { connections: 16, pipeline: 1 };
/** Redis wants entry ids in ascending order, which only a single connection keeps. */
const ORDERED_FILL = { connections: 1, pipeline: 256 };
const SCANNED_STREAMS = 16;
const PAGE_EVENTS = 1000;
const PARTITIONS = 32;
const GET_STREAMS = 10_000;

async function fillBoth(
  contenders: readonly (Contender | null)[],
  streams: number,
  events: number,
): Promise<void> {
  for (const contender of contenders) {
    await contender?.fill(append('cycle', streams, true), events, ORDERED_FILL);
  }
}

/** Pages of 1,000 events from streams whose events lie between those of the others, and from partitions. */
export async function scans(bench: Bench): Promise<void> {
  // Segments so small that most of what is read lies in sealed ones, as it does in a store that has aged.
  await using ours = await bench.startOurs('ours', segmentsOf(bench.options.quick ? 1 : 4));
  await using peer = await bench.startPeer();
  const { scanEventsPerStream: eventsPerStream } = bench.sizes;
  await fillBoth([ours, peer], SCANNED_STREAMS, SCANNED_STREAMS * eventsPerStream);
  const place = { streams: SCANNED_STREAMS, eventsPerStream, partitions: PARTITIONS };
  const scan: ScanWorkload = { kind: 'scan', count: PAGE_EVENTS, ...place };
  for (const kind of ['scan', 'partition-scan'] as const) {
    const comparison = await bench.compare(ours, peer, { ...scan, kind }, READERS, scan);
    const name = kind === 'scan' ? 'ESCAN' : 'EPSCAN';
    const pages = comparison.ours.map(({ events, requests }) => events / Math.max(1, requests));
    const short = pages.some((page) => Math.abs(page - PAGE_EVENTS) > PAGE_EVENTS / 50);
    bench.addComparison(comparison, eventsPerSecond, {
      measure: `${name} COUNT 1000, 16 clients: events`,
      unit: '/s',
      target: { judged: 'ratio', better: 'higher', reach: 0.2, aim: 0.4 },
      note: short ? `pages held ${pages.map(Math.round).join(', ')} events instead of 1000` : '',
    });
  }
}

/** Single events by id, anywhere in the store. */
export async function gets(bench: Bench): Promise<void> {
  await using ours = await bench.startOurs('ours', segmentsOf(bench.options.quick ? 2 : 8));
  await using peer = await bench.startPeer();
  const { getEvents: events } = bench.sizes;
  await fillBoth([ours, peer], GET_STREAMS, events);
  const workload: GetWorkload = { kind: 'get', streams: GET_STREAMS, events };
  const comparison = await bench.compare(ours, peer, workload, READERS);
  const missing = comparison.ours.some((run) => run.events < run.requests * 0.99);
  bench.addComparison(comparison, eventsPerSecond, {
    measure: 'random EGET, 16 clients',
    unit: '/s',
    target: { judged: 'ratio', better: 'higher', reach: 0.5, aim: 0.8 },
    note: missing ? 'not every event was found' : '',
  });
  bench.addComparison(comparison, cpuPerEvent, { measure: 'EGET: server CPU', unit: 'µs' });
}
