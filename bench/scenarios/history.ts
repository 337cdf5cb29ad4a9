import { defaultPartitionKey, partitionHash } from '../../common/ids.ts';
import {
  append,
  type Bench,
  type Comparison,
  type Contender,
  cpuPerEvent,
  eventsPerSecond,
} from '../bench.ts';
import { dataFiles } from '../data-files.ts';
import type { Measured } from '../load/meter.ts';
import { PushSource } from '../load/push-source.ts';
import { streamName, type TailWorkload } from '../load/requests.ts';
import { segmentsOf } from '../servers.ts';

/** Written in turn; the bucket of the one that is read alone holds another one too. */
const STREAMS = 8;
const READ_STREAM = 1;
const PARTITIONS = 32;
const PAGE_EVENTS = 1000;
const SUBSCRIBERS = 4;
/** Redis wants entry ids in ascending order, which only a single connection keeps. */
const ORDERED_FILL = { connections: 1, pipeline: 256 };

interface History {
  /** As it stands in the row. */
  readonly name: string;
  /** Words of the subscription. */
  readonly words: readonly string[];
  /** What Redis reads of the same events. */
  readonly tail: TailWorkload;
}

/** Each holds the events of the streams that its `tail` names, and no others. */
function histories(eventsPerStream: number): readonly History[] {
  const hash = partitionHash(defaultPartitionKey(Buffer.from(streamName(READ_STREAM))));
  const partition = String(hash % PARTITIONS);
  const tail = { kind: 'tail', count: PAGE_EVENTS, streams: STREAMS, eventsPerStream } as const;
  const one = { ...tail, first: READ_STREAM, read: 1 };
  const all = { ...tail, first: 0, read: STREAMS };
  const start = ['FROM', '0'];
  return [
    { name: 'ESUB stream', words: ['ESUB', streamName(READ_STREAM), ...start], tail: one },
    { name: 'EPSUB partition', words: ['EPSUB', partition, ...start], tail: one },
    { name: 'EPSUB *', words: ['EPSUB', '*', ...start], tail: all },
  ];
}

const readBy = (
  contender: Contender,
  { name, words, tail }: History,
  subscribers: number,
  round: number,
): Promise<Measured> => {
  const eventsEach = tail.read * tail.eventsPerStream;
  const subscriptions = Array.from({ length: subscribers }, () => words);
  return contender.deliver(
    'history',
    (server) => ({ ...server, subscriptions, eventsEach }),
    round,
    `${name}, ${String(subscribers)} at once`,
  );
};

/** From the first event to the last: one subscriber beside Redis, then four beside one. */
export async function catchUp(bench: Bench): Promise<void> {
  const { historyEventsPerStream, historySegmentMebibytes } = bench.sizes;
  await using ours = await bench.startOurs('ours', segmentsOf(historySegmentMebibytes));
  await using peer = await bench.startPeer();
  for (const contender of [ours, peer]) {
    const workload = append('cycle', STREAMS, true);
    await contender?.fill(workload, STREAMS * historyEventsPerStream, ORDERED_FILL);
  }
  const kinds = histories(historyEventsPerStream);
  for (const history of kinds) {
    await readBy(ours, history, 1, 0);
    await peer?.readTail(history.tail, 0);
  }
  const files = dataFiles(ours.server.directory);
  const note =
    `${String(STREAMS * historyEventsPerStream)} events in the store, ` +
    `${String(files.sealedSegments)} sealed segments, ${(files.unsealedLogBytes / 1e6).toFixed(0)} MB not sealed yet`;
  for (const history of kinds) {
    const comparison = await bench.alternate<Measured>(
      (round) => readBy(ours, history, 1, round),
      peer === null ? null : (round) => peer.readTail(history.tail, round),
    );
    addCatchUp(bench, history.name, comparison, note);
  }
  for (const history of kinds) {
    const comparison = await bench.alternate(
      (round) => readBy(ours, history, SUBSCRIBERS, round),
      (round) => readBy(ours, history, 1, round),
    );
    bench.addComparison(comparison, eventsPerSecond, {
      measure: `catch-up ${history.name}, 4 at once : 1`,
      unit: '/s',
      target: { judged: 'ratio', better: 'higher', reach: 1, aim: 1.1 },
    });
  }
}

function addCatchUp(
  bench: Bench,
  name: string,
  comparison: Comparison<Measured>,
  note: string,
): void {
  const alone = { ours: comparison.ours, peer: null };
  bench.addComparison(alone, eventsPerSecond, {
    measure: `catch-up ${name} FROM 0`,
    unit: '/s',
    target: { judged: 'ours', better: 'higher', reach: 300_000, aim: 700_000 },
    note,
  });
  bench.addComparison(comparison, eventsPerSecond, {
    measure: `catch-up ${name} : XREAD COUNT 1000`,
    unit: '/s',
    target: { judged: 'ratio', better: 'higher', reach: 0.2, aim: 0.4 },
  });
  // Not beside the peer's: a short run of Redis costs less than the 10 ms in which CPU time is counted.
  bench.addComparison(alone, cpuPerEvent, {
    measure: `catch-up ${name}: server CPU per event`,
    unit: 'µs',
  });
}

/** What the generator itself can take: pushes from a server that sends the same bytes again and again. */
export async function pushCounter(bench: Bench): Promise<void> {
  const events = bench.options.quick ? 500_000 : 3_000_000;
  await using source = await PushSource.start(events);
  const runs: Measured[] = [];
  for (let round = 0; round < bench.rounds; round += 1) {
    const spec = {
      port: source.port,
      serverPid: process.pid,
      subscriptions: [['EPSUB', '*', 'FROM', '0']],
      eventsEach: events,
    };
    runs.push(await bench.load.do('history', spec));
  }
  bench.addComparison({ ours: runs, peer: null }, eventsPerSecond, {
    measure: 'the generator alone: pushes counted',
    unit: '/s',
  });
}
