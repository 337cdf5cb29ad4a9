import { append, type Bench, Contender, eventsPerSecond, SATURATING } from '../bench.ts';
import { dataFiles } from '../data-files.ts';
import { segmentsOf } from '../servers.ts';

/** What one of these appends occupies in a segment, about. */
const EVENT_BYTES = 380;
const STREAMS = 100_000;
/** Numbers that no fill has used. */
const UNSEEN_STREAMS_FROM = 1e9;
const UNSEEN_STREAMS = 1e12;

/**
 * The same events in one sealed segment and in a hundred, then appends that must ask every segment: to streams that
 * none of them knows, and to streams that some of them know, with ids that none of them knows.
 */
export async function age(bench: Bench): Promise<void> {
  const { sealedSegments, sealedSegmentMebibytes } = bench.sizes;
  const events = Math.ceil((sealedSegments * sealedSegmentMebibytes * 1024 * 1024) / EVENT_BYTES);
  const oneMebibytes = Math.ceil(0.7 * sealedSegments * sealedSegmentMebibytes);
  await using many = await agedStore(bench, 'many segments', sealedSegmentMebibytes, events);
  await using one = await agedStore(bench, 'one segment', oneMebibytes, events);
  const target = { judged: 'ratio', better: 'higher', reach: 0.9, aim: 1 } as const;
  const sealed = (store: Contender): string =>
    `${String(dataFiles(store.server.directory).sealedSegments)} sealed segments`;
  const note = `${sealed(many)} against ${sealed(one)} at the end, the same ${String(events)} events before`;
  for (const contender of [many, one]) contender.skipTo(UNSEEN_STREAMS_FROM);
  const unseen = await bench.compare(many, one, append('cycle', UNSEEN_STREAMS), SATURATING);
  bench.addComparison(unseen, eventsPerSecond, {
    measure: 'appends to never-seen streams, 100 : 1 segments',
    unit: '/s',
    target,
    note,
  });
  const old = await bench.compare(many, one, append('random', STREAMS, true), SATURATING);
  bench.addComparison(old, eventsPerSecond, {
    measure: 'appends to old streams with EVENT_ID, 100 : 1',
    unit: '/s',
    target,
  });
}

/** A store of one bucket, filled with segments of the given size, then started anew with the default size. */
async function agedStore(
  bench: Bench,
  name: string,
  segmentMebibytes: number,
  events: number,
): Promise<Contender> {
  const small = { 'bucket.count': 1, ...segmentsOf(segmentMebibytes) };
  const young = await bench.startOurs(name, small);
  await young.fill(append('cycle', STREAMS), events, SATURATING);
  await young.server.stop('SIGTERM');
  const server = await bench.startNode(young.server.directory, { 'bucket.count': 1 });
  return new Contender(bench, name, server);
}
