/** The end of a fault test: the faults are over, all nodes run, and must agree with each other and with what was told. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

import type { WireEvent } from '../../../client/event.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { segmentsFolder } from '../../../node/src/storage/names.ts';
import type { ClusterProcesses } from '../../testing/cluster-processes.ts';
import type { NodeProcess } from '../../testing/node-process.ts';
import { WireClient } from '../../testing/wire-client.ts';
import { checkHistory } from './check-history.ts';
import type { FinalEvent, History } from './history.ts';

/**
 * Stops the nodes. Throws with what is wrong. `isOthers` are streams that others than the history's clients have
 * written.
 */
export async function settle(
  cluster: ClusterProcesses,
  history: History,
  isOthers: (stream: string) => boolean = () => false,
): Promise<void> {
  const [first = [], ...others] = await everyCopy(cluster);
  for (const other of others) assert.deepEqual(other, first, 'copies hold the same events');
  checkHistory(history, first.map(finalEvent), isOthers);
  await stopAndCompare(cluster);
}

/** Read while nothing was appended: what a client has given up may still be on its way to a leader. */
async function everyCopy(cluster: ClusterProcesses): Promise<WireEvent[][]> {
  for (;;) {
    const before = await untilEqual(cluster);
    const copies = await Promise.all(
      cluster.indices.map((index) => everyEvent(cluster.node(index))),
    );
    if (isDeepStrictEqual(await untilEqual(cluster), before)) return copies;
  }
}

/** The same where there is too much to look at each event: all copies become equal, and their segments are the same bytes. */
export async function settleBytes(cluster: ClusterProcesses): Promise<void> {
  await untilEqual(cluster);
  await stopAndCompare(cluster);
}

async function stopAndCompare(cluster: ClusterProcesses): Promise<void> {
  const exits = await Promise.all(cluster.indices.map((index) => cluster.node(index).stop()));
  for (const { code } of exits) assert.equal(code, 0, 'a node stops when it is asked to');
  await compareSegments(cluster);
}

/** Nothing hinders the nodes any more: what takes longer does not come. */
const SETTLE_MS = 60_000;

/** Where the copies end, by bucket. */
async function untilEqual(cluster: ClusterProcesses): Promise<ReadonlyMap<number, number>> {
  const endMs = performance.now() + SETTLE_MS;
  for (;;) {
    const ends = await equalEnds(cluster);
    if (ends !== null) return ends;
    if (performance.now() >= endMs) break;
    await delay(50);
  }
  const told = await Promise.allSettled(cluster.indices.map((index) => cluster.status(index)));
  throw new Error(`copies do not become equal: ${JSON.stringify(told)}`);
}

/** Looks until it holds; a test that waits in vain is ended by the runner. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(50);
}

export async function statuses(cluster: ClusterProcesses): Promise<NodeStatus[]> {
  return Promise.all(cluster.indices.map((index) => cluster.status(index)));
}

/** A node that leads a bucket and answers; `except` is not asked. */
export async function leaderOf(
  cluster: ClusterProcesses,
  bucket: number,
  except: number | null = null,
): Promise<number | null> {
  const asked = cluster.indices.filter((index) => index !== except);
  const answers = await Promise.allSettled(asked.map((index) => cluster.status(index)));
  const found = answers.findIndex(
    (answer) =>
      answer.status === 'fulfilled' &&
      answer.value.buckets.some((each) => each.bucket === bucket && each.role === 'leader'),
  );
  return asked[found] ?? null;
}

/** Null unless every bucket has one leader, and all its copies are as far as each other. */
async function equalEnds(cluster: ClusterProcesses): Promise<ReadonlyMap<number, number> | null> {
  const all = await statuses(cluster).catch(() => null);
  if (all === null) return null;
  const replicas = all.flatMap(({ buckets }) => buckets);
  const found = new Map<number, number>();
  for (const [bucket, copies] of Map.groupBy(replicas, (replica) => replica.bucket)) {
    const leaders = copies.filter(({ role }) => role === 'leader');
    const ends = new Set(copies.flatMap(({ applied, commit, last }) => [applied, commit, last]));
    const [end = 0] = ends;
    const isWhole = copies.length === leaders[0]?.voters.length;
    if (leaders.length !== 1 || ends.size !== 1 || !isWhole) return null;
    found.set(bucket, end);
  }
  return found;
}

/** What a node's own copies hold, and others where it has none. */
export async function everyEvent(node: Pick<NodeProcess, 'host' | 'port'>): Promise<WireEvent[]> {
  using client = await WireClient.connect(node.port, node.host);
  await client.call('READONLY');
  const events: WireEvent[] = [];
  for (let partition = 0; ; partition += 1) {
    const found = await partitionEvents(client, String(partition));
    if (found === null) return events;
    events.push(...found);
  }
}

/** Null where there is no such partition. */
async function partitionEvents(client: WireClient, partition: string): Promise<WireEvent[] | null> {
  const events: WireEvent[] = [];
  for (;;) {
    const range = [partition, String(events.length), '+', 'COUNT', '10000'];
    const page = await client.call('EPSCAN', ...range).catch((error: unknown) => error as Error);
    if (page instanceof Error) {
      assert.match(page.message, /^CLUSTERDOWN/);
      return null;
    }
    const { events: found, has_more: hasMore } = Object.fromEntries(page as Map<string, unknown>);
    events.push(...(found as WireEvent[]));
    if (hasMore !== true) return events;
  }
}

export function finalEvent(event: WireEvent): FinalEvent {
  const { streamId: stream, version, partition, sequence, id: eventId } = event;
  return { stream, version, partition, sequence, eventId };
}

/**
 * Segments of all copies are the same bytes, as far as each goes: after a clean stop only the last one's end may differ, where
 * a copy has not heard before it stopped that its last frames are committed.
 */
async function compareSegments(cluster: ClusterProcesses): Promise<void> {
  const folders = await Promise.all(
    cluster.indices.map((index) => readdir(join(cluster.directory(index), 'buckets'))),
  );
  for (const bucket of new Set(folders.flat().map(Number))) {
    const folders = cluster.indices.map((index) =>
      segmentsFolder(cluster.directory(index), bucket),
    );
    const copies = await Promise.all(folders.map(readSegments));
    const holding = copies.filter((segments) => segments.size > 0);
    assert.ok(holding.length >= 2, `bucket ${bucket} has copies`);
    for (const name of holding[0]!.keys()) {
      const files = holding.flatMap((segments) => segments.get(name) ?? []);
      const bytes = Math.min(...files.map(({ length }) => length));
      const [first, ...others] = files.map((file) => file.subarray(0, bytes));
      const areSame = others.every((other) => first?.equals(other) === true);
      assert.ok(areSame, `bucket ${bucket}: ${name} is the same everywhere`);
    }
  }
}

async function readSegments(folder: string): Promise<Map<string, Buffer>> {
  const names = await readdir(folder).catch(() => []);
  const segments = names.filter((name) => name.endsWith('.log')).toSorted();
  return new Map(
    await Promise.all(
      segments.map(async (name): Promise<[string, Buffer]> => [
        name,
        await readFile(join(folder, name)),
      ]),
    ),
  );
}
