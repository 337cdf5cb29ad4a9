import { setTimeout as delay } from 'node:timers/promises';

import { append, type Bench, SATURATING } from '../bench.ts';
import { dataFiles } from '../data-files.ts';
import { PAYLOAD_BYTES } from '../load/requests.ts';
import { residentBytes } from '../machine.ts';
import { segmentsOf } from '../servers.ts';

const STREAMS = 100_000;
const SETTLE_MS = 1500;
/** From here on the figure says something about five million streams. */
const STREAMS_JUDGED_MIN = 5_000_000;

/** Bytes on disk per event: segments, and the indexes of the sealed ones. The journal is of constant size and left out. */
export async function space(bench: Bench): Promise<void> {
  const { footprintEvents: events, footprintSegmentMebibytes } = bench.sizes;
  await using ours = await bench.startOurs('space', {
    'bucket.count': 1,
    ...segmentsOf(footprintSegmentMebibytes),
  });
  await ours.fill(append('random', STREAMS), events, SATURATING);
  await ours.server.stop('SIGTERM');
  const files = dataFiles(ours.server.directory);
  const segments = files.logBytes / events;
  const sealedEvents = (files.logBytes - files.unsealedLogBytes) / segments;
  bench.addFigures([segments], {
    measure: 'disk bytes per event: segments',
    unit: 'B',
    target: { judged: 'ours', better: 'lower', reach: 400, aim: 360 },
    note: `${String(events)} events, ${String(files.sealedSegments)} sealed segments of ${String(footprintSegmentMebibytes)} MiB`,
  });
  if (sealedEvents === 0) return;
  const indexes = files.indexBytes / sealedEvents;
  bench.addFigures([indexes], {
    measure: 'disk bytes per event: indexes',
    unit: 'B',
    target: { judged: 'ours', better: 'lower', reach: 60, aim: 40 },
  });
  bench.addFigures([(segments + indexes) / PAYLOAD_BYTES], {
    measure: 'disk bytes per payload byte',
    unit: '×',
  });
}

/** Resident memory of the process at rest and after many streams, each with one event. */
export async function memory(bench: Bench): Promise<void> {
  const { streamsInMemory: streams } = bench.sizes;
  await using ours = await bench.startOurs('memory');
  const megabytes = (): number => (residentBytes(ours.server.pid) ?? 0) / 1e6;
  await delay(SETTLE_MS);
  bench.addFigures([megabytes()], {
    measure: 'RSS idle',
    unit: 'MB',
    target: { judged: 'ours', better: 'lower', reach: 120, aim: 90 },
  });
  await ours.fill(append('cycle', 1e12), streams, SATURATING);
  await delay(SETTLE_MS);
  bench.addFigures([megabytes()], {
    measure: `RSS after ${String(streams / 1e6)} M streams`,
    unit: 'MB',
    target:
      streams < STREAMS_JUDGED_MIN
        ? null
        : { judged: 'ours', better: 'lower', reach: 500, aim: 350 },
  });
}
