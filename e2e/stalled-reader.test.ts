/**
 * A subscriber that reads nothing for ten seconds, while 200,000 events are appended and another subscriber takes all of them:
 * the node keeps nothing for it, loses nothing, and holds up nobody. What it does to the appenders' latency is measured in
 * `bench/`.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { setTimeout as passed } from 'node:timers/promises';

import { NodeProcess } from './testing/node-process.ts';
import { Reader } from './testing/reader.ts';
import { WireClient } from './testing/wire-client.ts';

const EVENTS = 200_000;
const STALL_MS = 10_000;
const APPENDERS = 8;
const PIPELINE = 64;
const STREAMS_PER_APPENDER = 25;
const PAYLOAD = 'x'.repeat(500);

/**
 * What a node may grow by while a reader is stalled, beyond what the same appends cost it without one. A stalled connection
 * may hold 256 KiB of pushes (`pushBytesMax` of `node/src/resp/limits.ts`) and the turn in which that was reached; the rest
 * is what the resident memory of one and the same process differs by between two such runs, because garbage is collected
 * when it suits the collector: of the old generation, which begins with 128 MiB, up to 51 MB were seen. Keeping the events, 900
 * bytes each as a push, would take 180 MB.
 */
const GROWTH_MAX_MB = 80;

/** Small caches, which are full before anything is measured. */
const flags: readonly string[] = [
  ...['--set', 'cache.capacity_bytes=4MiB', '--set', 'journal.file_bytes=16MiB'],
  ...['--set', 'segment.size_bytes=16MiB', '--set', 'disk.reserve_bytes=0'],
];

/** Resident memory of a process, in MB. */
function residentMb(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return (Number(kibibytes?.[1]) * 1024) / 1e6;
}

/** Appends {@link EVENTS} events; resolves, with the highest resident memory on the way, when all are acknowledged. */
async function append(node: NodeProcess): Promise<number> {
  let [sent, highest] = [0, 0];
  const appender = async (number: number): Promise<void> => {
    using client = await WireClient.connect(node.port);
    const lane = async (): Promise<void> => {
      while (sent < EVENTS) {
        sent += 1;
        if (sent % 2000 === 0) highest = Math.max(highest, residentMb(node.pid));
        const stream = `s-${number}-${sent % STREAMS_PER_APPENDER}`;
        await client.call('EAPPEND', stream, 'Happened', 'PAYLOAD', PAYLOAD);
      }
    };
    await Promise.all(Array.from({ length: PIPELINE }, lane));
  };
  await Promise.all(Array.from({ length: APPENDERS }, (_, i) => appender(i)));
  return highest;
}

const everything = { kind: 'partitions', selector: ['*'], from: 'LATEST' } as const;

/** What reading from disk takes is taken before anything is measured. */
async function readHistory(node: NodeProcess): Promise<void> {
  using reader = new Reader({ ...everything, from: 0 });
  await reader.connect(node.port);
  await reader.until(() => reader.count >= EVENTS);
}

test('a reader that stalls for ten seconds', { timeout: 300_000 }, async (t) => {
  await using node = await NodeProcess.start({ flags });
  using healthy = new Reader(everything);
  await healthy.connect(node.port);
  await append(node);
  await readHistory(node);
  // Twice: the old generation is first collected when it has grown to what it begins with.
  const alone = Math.max(await append(node), await append(node));

  using stalled = new Reader(everything);
  await stalled.connect(node.port);
  stalled.client.pause();
  const tenSeconds = passed(STALL_MS);
  const beside = await append(node);
  await healthy.until(() => healthy.count === 4 * EVENTS);
  assert(stalled.count < EVENTS / 2, 'it has not been reading');
  await tenSeconds;

  stalled.client.resume();
  await stalled.until(() => stalled.count >= EVENTS);
  const afterwards = residentMb(node.pid);
  t.diagnostic(`resident MB: ${[alone, beside, afterwards].map(Math.round).join(', ')}`);
  assert.equal(stalled.count, EVENTS, 'everything has come, and only once');
  for (const [what, resident] of [
    ['stalled', beside] as const,
    ['catching up', afterwards] as const,
  ]) {
    const grown = resident - alone;
    assert(grown < GROWTH_MAX_MB, `${grown} MB more with a reader ${what}`);
  }
  healthy.check();
  stalled.check();
});
