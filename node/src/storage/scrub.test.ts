import assert from 'node:assert/strict';
import { once, EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { frameLength, sealFrame } from './frame-format.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { segmentsFolder } from './names.ts';
import type { StorageObserver } from './observer.ts';
import { silentObserver } from './observer.ts';
import { Scrub, type Wait } from './scrub.ts';
import { FilledDirectory } from './testing/filled-directory.ts';

const DIRECTORY = '/data';
const BYTES_PER_SECOND = 1_000_000;
const folder = segmentsFolder(DIRECTORY, 0);

type Detail = Readonly<Record<string, string | number>>;

/** Time that passes when something waits for it; it stops before a wait as long as `patience`. */
class FakeTime {
  elapsedMs = 0;
  patienceMs = 100_000;

  readonly wait: Wait = async (ms, signal) => {
    signal.throwIfAborted();
    if (ms < this.patienceMs) this.elapsedMs += ms;
    else await once(signal, 'abort');
    signal.throwIfAborted();
  };
}

describe('the background scrub', () => {
  let files: MemoryFileSystem;
  let directory: FilledDirectory;
  let time: FakeTime;
  let scrub: Scrub;
  let events: EventEmitter;
  let recovered: [action: string, detail: Detail][];

  beforeEach(async () => {
    files = new MemoryFileSystem();
    const first = await FilledDirectory.open(files, DIRECTORY);
    await first.append(200);
    await first.close();
    directory = await FilledDirectory.open(files, DIRECTORY, { after: first.events });
    time = new FakeTime();
    events = new EventEmitter();
    recovered = [];
    const observer: StorageObserver = {
      ...silentObserver,
      recovery: (action, detail) => {
        recovered.push([action, detail]);
        events.emit(action);
      },
    };
    scrub = new Scrub({
      files,
      observer,
      logs: directory.storage.logs,
      folderOf: (bucket) => segmentsFolder(DIRECTORY, bucket),
      bytesPerSecond: BYTES_PER_SECOND,
      wait: time.wait,
    });
  });

  afterEach(async () => {
    await scrub.stop();
    await directory.close();
  });

  async function pass(): Promise<void> {
    const done = once(events, 'scrub pass');
    scrub.start();
    await done;
  }

  async function flip(name: string, at: number): Promise<void> {
    const file = await files.open(`${folder}/${name}`, 'open');
    const byte = Buffer.alloc(1);
    await file.read(byte, at);
    await file.write(Buffer.of((byte[0] as number) ^ 4), at);
    await file.close();
  }

  it('finds nothing in what is whole, and takes the time that its rate gives it', async () => {
    await pass();
    assert.deepEqual(recovered, [['scrub pass', {}]]);
    let bytes = 0;
    for (const { bucket, sealed } of directory.storage.logs) {
      for (const { number } of sealed.segments) {
        for (const kind of ['log', 'streams', 'partitions', 'events']) {
          const name = `${String(number).padStart(10, '0')}.${kind}`;
          bytes += (await files.sizeOf(`${segmentsFolder(DIRECTORY, bucket)}/${name}`)) ?? 0;
        }
      }
    }
    assert.ok(bytes > 100_000);
    assert.ok(time.elapsedMs - 60_000 >= (1000 * bytes) / BYTES_PER_SECOND);
  });

  it('a frame of a sealed segment: the bucket is quarantined', async () => {
    await flip('0000000001.log', 3000);
    await pass();
    const [found] = recovered;
    assert.equal(found?.[0], 'scrub damage');
    const { bucket, segment, from, to, reason } = found[1];
    assert.deepEqual([bucket, segment, reason], [0, 1, 'checksum mismatch']);
    assert.ok(Number(from) <= 3000 && Number(to) > 3000);
    assert.deepEqual(
      directory.storage.logs.map((log) => log.quarantined),
      [true, false],
    );
    assert.equal(directory.storage.logs[0]?.damage[0]?.from, from);
  });

  it('a whole frame that is another one than was sealed', async () => {
    const path = `${folder}/0000000001.log`;
    const bytes = await files.readFile(path);
    let last = bytes.readUInt32LE(8);
    for (let at = last; at < bytes.length; at += frameLength(bytes, at)) last = at;
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 4;
    sealFrame(bytes, last, bytes.length - last);
    const file = await files.open(path, 'open');
    await file.write(bytes, 0);
    await file.close();
    await pass();
    const { segment, reason } = recovered[0]?.[1] ?? {};
    assert.deepEqual([segment, reason], [1, 'holds other frames than were sealed']);
    assert.ok(directory.storage.logs[0]?.quarantined);
  });

  it('the header of a sealed segment', async () => {
    await flip('0000000000.log', 30);
    await pass();
    assert.deepEqual(
      recovered.map(([action, { segment, from }]) => [action, segment, from]),
      [
        ['scrub damage', 0, 0],
        ['scrub pass', undefined, undefined],
      ],
    );
    assert.ok(directory.storage.logs[0]?.quarantined);
  });

  it('an index file is built again, and no bucket is quarantined', async () => {
    const name = '0000000002.partitions';
    const whole = Buffer.from(await files.readFile(`${folder}/${name}`));
    await flip(name, 100);
    await files.remove(`${folder}/0000000001.events`);
    await pass();
    const found = recovered.filter(([action]) => action === 'scrub damage');
    assert.deepEqual(
      found.map(([, { segment }]) => segment),
      [1, 2],
    );
    assert.ok((await files.readFile(`${folder}/${name}`)).equals(whole));
    assert.notEqual(await files.sizeOf(`${folder}/0000000001.events`), null);
    assert.ok(directory.storage.logs.every((log) => !log.quarantined));
    recovered.length = 0;
  });

  it('does nothing before its time, and ends at once wherever it is told to', async () => {
    time.patienceMs = 60_000;
    scrub.start();
    await scrub.stop();
    assert.deepEqual([recovered, time.elapsedMs], [[], 0]);
    for (let waits = 1; waits < 40; waits += 3) {
      const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
      let left = waits;
      const stopped = new Scrub({
        files,
        observer: silentObserver,
        logs: directory.storage.logs,
        folderOf: (bucket) => segmentsFolder(DIRECTORY, bucket),
        bytesPerSecond: BYTES_PER_SECOND,
        wait: async (_, signal) => {
          left -= 1;
          if (left > 0) return;
          reach();
          await once(signal, 'abort');
          signal.throwIfAborted();
        },
      });
      stopped.start();
      await reached;
      await stopped.stop();
      assert.equal(left, 0);
    }
  });

  it('can be switched off', async () => {
    const off = new Scrub({
      files,
      observer: silentObserver,
      logs: [],
      folderOf: () => '',
      bytesPerSecond: 0,
      wait: () => assert.fail('it does not wait'),
    });
    off.start();
    await off.stop();
  });
});
