/**
 * Compares what clients were told with what there is at the end, and throws where the two cannot both be true.
 *
 * Linearizability. A stream is a register that only grows: the one thing that happens to it is that version v comes into
 * being, at a moment t(v). Every call bounds these moments. t(v) is not before the append of v began, nor before a read that
 * showed v − 1 began; it is not after the end of an append that was told v, nor of a read that showed v or more. With
 * t(v) ≤ t(v + 1) added from both sides, a history is linearizable exactly where every t(v) has an earliest moment that is
 * not after its latest: then all earliest moments together are an order that explains every answer.
 */
import assert from 'node:assert/strict';

import { type AppendCall, EMPTY, type FinalEvent, type History, type ReadCall } from './history.ts';

/**
 * Throws with the stream and the version where something is wrong. Of streams that others have written only numbers are
 * checked.
 */
export function checkHistory(
  history: History,
  final: readonly FinalEvent[],
  isOthers: (stream: string) => boolean = () => false,
): void {
  checkSequences(final);
  checkTransactions(history.appends, final);
  const streams = groupBy(final, ({ stream }) => stream);
  const appends = groupBy(history.appends, ({ stream }) => stream);
  const reads = groupBy(history.reads, ({ stream }) => stream);
  for (const stream of new Set([...streams.keys(), ...appends.keys(), ...reads.keys()])) {
    const events = (streams.get(stream) ?? []).toSorted((a, b) => a.version - b.version);
    checkVersions(stream, events);
    if (isOthers(stream)) continue;
    checkAppends(stream, events, appends.get(stream) ?? []);
    checkReads(stream, events, reads.get(stream) ?? []);
    checkOrder(stream, events, appends.get(stream) ?? [], reads.get(stream) ?? []);
  }
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  return Map.groupBy(items, key);
}

/** Sequences of a partition count from 0, and nothing is there twice. */
function checkSequences(final: readonly FinalEvent[]): void {
  for (const [partition, events] of groupBy(final, (event) => String(event.partition))) {
    const sequences = events.map(({ sequence }) => sequence).toSorted((a, b) => a - b);
    sequences.forEach((sequence, i) => {
      assert.equal(sequence, i, `partition ${partition}: sequences have no gap`);
    });
  }
  assert.equal(
    new Set(final.map(({ eventId }) => eventId)).size,
    final.length,
    'an event is twice',
  );
}

/** All of a transaction's events are there, one behind the other, or none. */
function checkTransactions(appends: readonly AppendCall[], final: readonly FinalEvent[]): void {
  const stored = new Map(final.map((event) => [event.eventId, event]));
  for (const [transaction, parts] of groupBy(appends, ({ transaction: id }) => id ?? '')) {
    if (transaction === '') continue;
    const eventIds = [...new Set(parts.map(({ eventId }) => eventId))];
    const found = eventIds.flatMap((eventId) => stored.get(eventId) ?? []);
    const isWhole = found.length === 0 || found.length === eventIds.length;
    assert.ok(isWhole, `${transaction}: ${found.length} of ${eventIds.length} events are stored`);
    found.forEach(({ sequence }, i) => {
      assert.equal(sequence, found[0]!.sequence + i, `${transaction}: something stands in between`);
    });
  }
}

function checkVersions(stream: string, events: readonly FinalEvent[]): void {
  let sequence = -1;
  events.forEach((event, version) => {
    assert.equal(event.version, version, `${stream}: versions have no gap`);
    assert.ok(event.sequence > sequence, `${stream} ${version}: versions follow sequences`);
    ({ sequence } = event);
  });
}

/** Each event is the one that was sent, where its sender was told, and only where it may be. */
function checkAppends(
  stream: string,
  events: readonly FinalEvent[],
  appends: readonly AppendCall[],
): void {
  const calls = groupBy(appends, ({ eventId }) => eventId);
  const stored = new Map(events.map((event) => [event.eventId, event]));
  for (const { eventId, version } of events) {
    assert.ok(calls.has(eventId), `${stream} ${version}: nobody has sent it`);
  }
  for (const [eventId, attempts] of calls) {
    const event = stored.get(eventId);
    const wasRefused = attempts.every(({ outcome }) => outcome.is === 'refused');
    const told = `${stream} ${eventId}: ${attempts.map(describeAttempt).join(', ')}`;
    assert.ok(event === undefined || !wasRefused, `refused and stored: ${told}`);
    for (const { expected, outcome } of attempts) {
      if (outcome.is === 'done') {
        assert.ok(event !== undefined, `acknowledged and lost: ${told}`);
        const { version, partition, sequence } = event;
        assert.deepEqual(outcome, { is: 'done', version, partition, sequence }, told);
      }
      if (event === undefined || expected === null) continue;
      assert.equal(event.version, expected + 1, `not where it was asked to be: ${told}`);
    }
  }
}

function describeAttempt({ outcome }: AppendCall): string {
  return outcome.is === 'done' ? `done at ${outcome.version}` : `${outcome.is} (${outcome.error})`;
}

/** What was read is there, in its place. */
function checkReads(
  stream: string,
  events: readonly FinalEvent[],
  reads: readonly ReadCall[],
): void {
  for (const { version, eventIds } of reads) {
    assert.ok(version < events.length, `${stream} ${version}: seen and lost`);
    const first = version + 1 - eventIds.length;
    eventIds.forEach((eventId, i) => {
      assert.equal(eventId, events[first + i]?.eventId, `${stream} ${first + i}: another was seen`);
    });
  }
}

function checkOrder(
  stream: string,
  events: readonly FinalEvent[],
  appends: readonly AppendCall[],
  reads: readonly ReadCall[],
): void {
  const versions = new Map(events.map(({ eventId, version }) => [eventId, version]));
  const starts = events.map(() => Infinity);
  const latest = events.map(() => Infinity);
  for (const { eventId, startMs, endMs, outcome } of appends) {
    const version = versions.get(eventId);
    if (version === undefined) continue;
    starts[version] = Math.min(starts[version] ?? Infinity, startMs);
    if (outcome.is === 'done') latest[version] = Math.min(latest[version] ?? Infinity, endMs);
  }
  const earliest = [...starts];
  for (const { version, startMs, endMs, isStale } of reads) {
    const [next, seen] = [earliest[version + 1], latest[version]];
    if (next !== undefined && !isStale) earliest[version + 1] = Math.max(next, startMs);
    if (version !== EMPTY && seen !== undefined) latest[version] = Math.min(seen, endMs);
  }
  spread(earliest, latest);
  earliest.forEach((from, version) => {
    const to = latest[version] ?? Infinity;
    const moments = `not before ${from.toFixed(1)} ms, not after ${to.toFixed(1)} ms`;
    assert.ok(from <= to, `${stream} ${version}: no moment explains the answers: ${moments}`);
  });
}

/** No version is older than the one before it. */
function spread(earliest: number[], latest: number[]): void {
  for (let v = 1; v < earliest.length; v += 1) {
    earliest[v] = Math.max(earliest[v] ?? 0, earliest[v - 1] ?? 0);
  }
  for (let v = latest.length - 2; v >= 0; v -= 1) {
    latest[v] = Math.min(latest[v] ?? Infinity, latest[v + 1] ?? Infinity);
  }
}
