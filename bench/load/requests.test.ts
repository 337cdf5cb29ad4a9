import assert from 'node:assert/strict';
import { test } from 'node:test';

import { defaultPartitionKey, parseUuid, partitionHash } from '../../common/ids.ts';
import {
  type Dialect,
  makePayload,
  makeRequests,
  streamName,
  suppliedEventId,
  tailRequests,
  type TailWorkload,
  type Workload,
} from './requests.ts';
import { requestOf, senderOf, TaggedAppend } from './tagged-append.ts';

/** The arguments of each command in the next `count` requests. */
function requests(workload: Workload, dialect: Dialect, count: number): string[][] {
  const source = makeRequests(workload, dialect, 42);
  const commands: string[][] = [];
  for (let i = 0; i < count; i += 1) {
    const bytes = Buffer.alloc(source.requestBytesMax + 8, '#');
    const end = source.write(bytes, 4);
    assert.equal(bytes.toString('latin1', 0, 4), '####');
    let rest = bytes.toString('latin1', 4, end);
    while (rest !== '') {
      const head = /^\*(\d+)\r\n/.exec(rest);
      assert.ok(head, 'a command begins');
      rest = rest.slice(head[0].length);
      const parts: string[] = [];
      for (let part = 0; part < Number(head[1]); part += 1) {
        const size = /^\$(\d+)\r\n/.exec(rest);
        assert.ok(size, 'a blob begins');
        const at = size[0].length;
        parts.push(rest.slice(at, at + Number(size[1])));
        assert.equal(rest.slice(at + Number(size[1]), at + Number(size[1]) + 2), '\r\n');
        rest = rest.slice(at + Number(size[1]) + 2);
      }
      commands.push(parts);
    }
  }
  return commands;
}

const append = { kind: 'append', firstEvent: 7, suppliedIds: false } as const;

test('names and payload have the sizes that the figures are stated for', () => {
  assert.equal(makePayload().length, 256);
  assert.equal(streamName(12).length, 20);
  assert.doesNotThrow(() => JSON.parse(makePayload()) as unknown);
});

test('appends cycle through the streams, from the first event on', () => {
  const sent = requests({ ...append, order: 'cycle', streams: 1e12 }, 'sierradb', 2);
  assert.deepEqual(
    sent.map((parts) => parts[1]),
    [streamName(7), streamName(8)],
  );
  assert.equal(sent[0]![0], 'EAPPEND');
  assert.equal(sent[0]!.at(-1), makePayload());
});

test('random appends stay among the streams', () => {
  const names = new Set(
    requests({ ...append, order: 'random', streams: 3 }, 'redis', 50).map((parts) => parts[1]),
  );
  assert.deepEqual([...names].sort(), [streamName(0), streamName(1), streamName(2)]);
});

test('a supplied id is unique and carries the partition hash of its stream', () => {
  const sent = requests(
    { ...append, order: 'random', streams: 50, suppliedIds: true },
    'sierradb',
    200,
  );
  for (const [index, parts] of sent.entries()) {
    const [, stream, , keyword, id] = parts;
    assert.equal(keyword, 'EVENT_ID');
    assert.equal(id, suppliedEventId(Number(stream!.slice(7)), 7 + index));
    const hash = partitionHash(defaultPartitionKey(Buffer.from(stream!)));
    assert.equal(partitionHash(parseUuid(Buffer.from(id))!), hash);
  }
  assert.equal(new Set(sent.map((parts) => parts[4])).size, 200);
});

test('gets ask for ids that a fill has supplied', () => {
  const fill = {
    ...append,
    firstEvent: 0,
    order: 'cycle',
    streams: 10,
    suppliedIds: true,
  } as const;
  const get = { kind: 'get', streams: 10, events: 40 } as const;
  const ids = new Set(requests(fill, 'sierradb', 40).map((parts) => parts[4]));
  for (const [, id] of requests(get, 'sierradb', 100)) assert.ok(ids.has(id));
  const entries = new Set(requests(fill, 'redis', 40).map((parts) => `${parts[1]} ${parts[2]}`));
  for (const [name, stream, from, to] of requests(get, 'redis', 100)) {
    assert.equal(name, 'XRANGE');
    assert.equal(from, to);
    assert.ok(entries.has(`${stream} ${from}`));
  }
});

test('scans start where a whole page is left', () => {
  const scan = { count: 10, streams: 4, eventsPerStream: 25, partitions: 32 } as const;
  for (const [name, , from, to] of requests({ ...scan, kind: 'scan' }, 'sierradb', 100)) {
    assert.equal(name, 'ESCAN');
    assert.ok(Number(from) <= 15);
    assert.equal(to, '+');
  }
  const fill = { ...append, firstEvent: 0, order: 'cycle', streams: 4, suppliedIds: true } as const;
  const entries = new Set(requests(fill, 'redis', 100).map((parts) => `${parts[1]} ${parts[2]}`));
  for (const [, stream, from] of requests({ ...scan, kind: 'scan' }, 'redis', 100)) {
    assert.ok(entries.has(`${stream} ${from}`));
  }
  for (const [name, partition] of requests({ ...scan, kind: 'partition-scan' }, 'sierradb', 10)) {
    assert.equal(name, 'EPSCAN');
    assert.ok(Number(partition) < 32);
  }
});

test('a transaction keeps its streams under one partition key', () => {
  const keys = new Map<string, string>();
  const workload = { kind: 'transaction', events: 10 } as const;
  for (const seed of [1, 2]) {
    const source = makeRequests(workload, 'sierradb', seed);
    assert.equal(source.eventsIn(3, 0), 30);
  }
  for (const parts of requests(workload, 'sierradb', 300)) {
    assert.equal(parts[0], 'EMAPPEND');
    assert.equal(parts.length, 2 + 4 * 10);
    for (let at = 2; at < parts.length; at += 4) {
      const key = keys.get(parts[at]!) ?? parts[1]!;
      assert.equal(key, parts[1]);
      keys.set(parts[at]!, key);
    }
  }
  const redis = requests(workload, 'redis', 1);
  assert.deepEqual(
    redis.map(([name]) => name),
    ['MULTI', ...Array.from({ length: 10 }, () => 'XADD'), 'EXEC'],
  );
});

test('XREAD goes on behind the last entry of each page, stream by stream', () => {
  const tail: TailWorkload = {
    ...{ kind: 'tail', count: 1000, streams: 4, first: 1, read: 2, eventsPerStream: 1500 },
  };
  assert.equal(tailRequests(tail), 4);
  const source = makeRequests(tail, 'redis', 1);
  const target = Buffer.alloc(source.requestBytesMax);
  const asked = Array.from({ length: 4 }, () => {
    const text = target.toString('latin1', 0, source.write(target, 0));
    return /(stream-\d+)\r\n\$15\r\n(\d+)-1/.exec(text)?.slice(1);
  });
  // Entry ids are 10^12 + the event's number; stream 1 has the events 1, 5, 9 …
  assert.deepEqual(asked, [
    [streamName(1), '0999999999997'],
    [streamName(1), String(1e12 + 1 + 999 * 4)],
    [streamName(2), '0999999999998'],
    [streamName(2), String(1e12 + 2 + 999 * 4)],
  ]);
});

test('a tagged append carries its sender and number in its payload', () => {
  const bytes = new TaggedAppend().make(5, 63, 123_456_789);
  assert.ok(bytes.includes(streamName(5)));
  const payloadAt = bytes.lastIndexOf('$256\r\n') + 6;
  assert.equal(senderOf(bytes, payloadAt), 63);
  assert.equal(requestOf(bytes, payloadAt), 123_456_789);
});
