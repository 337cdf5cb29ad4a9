import {
  append,
  type Bench,
  type Contender,
  cpuPerEvent,
  eventsPerSecond,
  SATURATING,
} from '../bench.ts';
import { type DiskLimit, type DiskProbe, measureDisk } from '../disk-limit.ts';

const STREAMS = 100_000;
/** One for each connection: what Redis likes best. */
const FEW_STREAMS = 64;
/** About what one append writes to the journal. */
const FRAME_BYTES = 400;
const PAGE_BYTES = 4096;

const shapes = [
  { connections: 1, pipeline: 1, reach: 0.6, aim: 0.8 },
  { connections: 16, pipeline: 1, reach: 0.5, aim: 0.8 },
  { connections: 64, pipeline: 1, reach: 0.5, aim: 0.8 },
  { connections: 256, pipeline: 1, reach: 0.6, aim: 0.8 },
  { connections: 64, pipeline: 16, reach: 0.4, aim: 0.6 },
] as const;

/** Microseconds of server CPU per append, by connections and pipeline. */
const cpuTargets = new Map([
  ['64×1', { reach: 30, aim: 20 }],
  ['64×16', { reach: 8, aim: 5 }],
]);

/** Durable appends to random streams at several loads, and the server CPU that they cost. */
export async function appends(bench: Bench): Promise<void> {
  await using ours = await bench.startOurs();
  await using peer = await bench.startPeer();
  await warmUp(bench, [ours, peer]);
  for (const { connections, pipeline, reach, aim } of shapes) {
    const shape = { connections, pipeline };
    const comparison = await bench.compare(ours, peer, append('random', STREAMS), shape);
    const name = `${String(connections)}×${String(pipeline)}`;
    bench.addComparison(comparison, eventsPerSecond, {
      measure: `appends ${name}`,
      unit: '/s',
      target: { judged: 'ratio', better: 'higher', reach, aim },
    });
    const cpu = cpuTargets.get(name);
    if (cpu === undefined) continue;
    bench.addComparison(comparison, cpuPerEvent, {
      measure: `server CPU per append ${name}`,
      unit: 'µs',
      target: { judged: 'ours', better: 'lower', ...cpu },
    });
  }
  const few = await bench.compare(ours, peer, append('random', FEW_STREAMS), SATURATING);
  bench.addComparison(few, eventsPerSecond, { measure: 'appends 64×16 to 64 streams', unit: '/s' });
}

/** Both programs have met every path once before the first round counts. */
async function warmUp(bench: Bench, contenders: readonly (Contender | null)[]): Promise<void> {
  const requests = bench.options.quick ? 20_000 : 100_000;
  for (const contender of contenders) {
    await contender?.fill(append('random', STREAMS), requests, { connections: 64, pipeline: 4 });
  }
}

/** One client's latency against the same bytes written and synced with nothing in between; the disk's own figures. */
export async function disk(bench: Bench): Promise<void> {
  await using ours = await bench.startOurs();
  const file = bench.freshPath('probe');
  const probe = (bytes: number, place: DiskProbe['place']): DiskLimit =>
    measureDisk(file, { bytes, place, seconds: bench.sizes.seconds });
  const alone = { connections: 1, pipeline: 1 };
  await ours.fill(append('random', STREAMS), 2000, alone);
  const p50: number[] = [];
  const frames: DiskLimit[] = [];
  const pages: DiskLimit[] = [];
  const extending: DiskLimit[] = [];
  const { rounds } = bench;
  for (let round = 0; round < rounds; round += 1) {
    frames.push(probe(FRAME_BYTES, 'overwrite'));
    p50.push((await ours.measure(append('random', STREAMS), alone, round)).latencyMs.p50);
    pages.push(probe(PAGE_BYTES, 'overwrite'));
    extending.push(probe(PAGE_BYTES, 'extend'));
  }
  bench.addFigures(
    p50.map((ms) => ms * 1000),
    {
      measure: `one client p50 : disk ${String(FRAME_BYTES)} B zeroed`,
      unit: 'µs',
      target: { judged: 'ratio', better: 'lower', reach: 2.5, aim: 1.7 },
    },
    frames.map(({ p50Ms }) => p50Ms * 1000),
  );
  const rate = (limits: readonly DiskLimit[]): number[] => limits.map((one) => one.writesPerSecond);
  bench.addFigures(rate(frames), { measure: 'disk: 400 B overwrite + fdatasync', unit: '/s' });
  bench.addFigures(rate(pages), { measure: 'disk: 4 KiB overwrite + fdatasync', unit: '/s' });
  bench.addFigures(rate(extending), { measure: 'disk: 4 KiB extending + fdatasync', unit: '/s' });
}

/** The same appends spread over many buckets and over few. */
export async function buckets(bench: Bench): Promise<void> {
  await using many = await bench.startOurs('64 buckets', {
    'bucket.count': 64,
    'partition.count': 64,
  });
  await using few = await bench.startOurs('4 buckets', {
    'bucket.count': 4,
    'partition.count': 64,
  });
  await warmUp(bench, [many, few]);
  const shape = { connections: 64, pipeline: 1 };
  bench.addComparison(
    await bench.compare(many, few, append('random', STREAMS), shape),
    eventsPerSecond,
    {
      measure: 'appends 64×1, 64 buckets : 4 buckets',
      unit: '/s',
      target: { judged: 'ratio', better: 'higher', reach: 0.9, aim: 1 },
    },
  );
}
