import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  defaultPartitionKey,
  EventIdSource,
  parseUuid,
  partitionHash,
  partitionKeyNamespace,
  printUuid,
  uuidText,
  writeEventId,
} from './ids.ts';
import { seededRandom } from './random.ts';

/** Wire protocol 6.6: stream id, key, hash, and the hash modulo 32, that modulo 4, modulo 16, modulo 1024. */
const streams: readonly (readonly [string, string, number, number, number, number, number])[] = [
  ['user-123', '7e124fe8-fe28-5398-bb95-53973100148f', 61013, 21, 1, 5, 597],
  ['orders', '4a5bf0d6-7d0e-50b2-b05f-ea5a8c8b597f', 49535, 31, 3, 15, 383],
  ['my-stream', 'fa3e31cd-2f38-5aee-bb91-8bc6fbf950a3', 60998, 6, 2, 6, 582],
  ['order-456', '6b01eb4e-d05c-5fba-862d-4be632820026', 6325, 21, 1, 5, 181],
  ['stream1', '955d2a6d-ce10-52c6-913a-df62b8388616', 17643, 11, 3, 11, 235],
  ['stream2', 'a3ee5838-d0c2-5dd6-bced-5b5942d163dc', 62389, 21, 1, 5, 949],
  ['user-1', 'e7a265f9-46bb-55fc-945c-3571e2aaa17e', 20848, 16, 0, 0, 368],
  ['user-2', '9f6b507b-66d7-5d04-8ddd-a5b41a9a6837', 14198, 22, 2, 6, 886],
  ['user-3', '34340c36-e44e-588f-9184-114fa058fab8', 17936, 16, 0, 0, 528],
  ['é', 'af439dc8-3904-5687-b16c-39a99727406e', 50608, 16, 0, 0, 432],
];

const uuid = (text: string): Buffer => {
  const parsed = parseUuid(Buffer.from(text));
  assert(parsed !== null, text);
  return parsed;
};

describe('partitions', () => {
  for (const [stream, key, hash, mod32, bucket, mod16, mod1024] of streams) {
    test(`of stream ${stream}`, () => {
      const derived = defaultPartitionKey(Buffer.from(stream));
      assert.equal(uuidText(derived), key);
      assert.equal(partitionHash(derived), hash);
      assert.deepEqual(
        [hash % 32, (hash % 32) % 4, hash % 16, hash % 1024],
        [mod32, bucket, mod16, mod1024],
      );
    });
  }

  for (const [text, hash] of [
    ['550e8400-e29b-41d4-a716-446655440000', 40025],
    ['00000000-0000-0000-0000-000000000000', 0],
    ['ffffffff-ffff-ffff-ffff-ffffffffffff', 65535],
  ] as const) {
    test(`of ${text}`, () => assert.equal(partitionHash(uuid(text)), hash));
  }

  test('the hash is read at an offset', () => {
    const bytes = Buffer.concat([Buffer.alloc(7), uuid('550e8400-e29b-41d4-a716-446655440000')]);
    assert.equal(partitionHash(bytes, 7), 40025);
  });

  test('the namespace', () => {
    assert.equal(uuidText(partitionKeyNamespace), '219bd637-e279-53e9-9e2b-eabe5d9120cc');
  });
});

/** Lays the 12 and 46 random bits of a test vector out as `writeEventId` reads them. */
function randomBytes(twelve: number, fortySix: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes[0] = twelve >> 4;
  bytes[1] = (twelve & 15) << 4;
  bytes.writeUIntBE(Number(fortySix >> 40n), 2, 1);
  bytes.writeUIntBE(Number(fortySix & 0xff_ffff_ffffn), 3, 5);
  return bytes;
}

describe('event ids', () => {
  const vectors: readonly (readonly [number, number, number, bigint, string])[] = [
    [0, 0, 0, 0n, '00000000-0000-0007-8000-000000000000'],
    [0x0192f4a31c2d, 0xabc, 0, 0n, '0192f4a3-1c2d-abc7-8000-000000000000'],
    [0x0192f4a31c2d, 0xabc, 0xffff, 0n, '0192f4a3-1c2d-abc7-bfff-c00000000000'],
    [0x0192f4a31c2d, 0xabc, 0x1234, 0x2aaaaaaaaaaan, '0192f4a3-1c2d-abc7-848d-2aaaaaaaaaaa'],
    [0xffffffffffff, 0xfff, 0xffff, 0x3fffffffffffn, 'ffffffff-ffff-fff7-bfff-ffffffffffff'],
    [1_700_000_000_000, 0x123, 0xee55, 0x0123456789abn, '018bcfe5-6800-1237-bb95-4123456789ab'],
  ];
  for (const [milliseconds, twelve, hash, fortySix, text] of vectors) {
    test(text, () => {
      const id = Buffer.alloc(16);
      writeEventId(milliseconds, hash, randomBytes(twelve, fortySix), 0, id, 0);
      assert.equal(uuidText(id), text);
      assert.equal(partitionHash(id), hash);
    });
  }

  test('drawn ids carry the time and the hash, and differ', () => {
    const clock = { now: () => 1_700_000_000_000, monotonic: () => 0 };
    const source = new EventIdSource(clock, seededRandom(1));
    const seen = new Set<string>();
    for (let i = 0; i < 5000; i += 1) {
      const id = source.next(i % 65_536);
      assert.equal(partitionHash(id), i % 65_536);
      assert.match(uuidText(id), /^018bcfe5-6800-[0-9a-f]{3}7-[89ab]/);
      seen.add(uuidText(id));
    }
    assert.equal(seen.size, 5000);
  });
});

describe('UUID text', () => {
  const text = '550e8400-e29b-41d4-a716-44665544abcd';
  const digits = text.replaceAll('-', '');

  for (const accepted of [
    text,
    text.toUpperCase(),
    digits,
    digits.toUpperCase(),
    `{${text}}`,
    `urn:uuid:${text}`,
    ` \t\r\n\v\f${text} \n`,
    ` ${digits} `,
  ]) {
    test(`accepts ${JSON.stringify(accepted)}`, () => assert.equal(uuidText(uuid(accepted)), text));
  }

  for (const refused of [
    '',
    ' ',
    'nope',
    text.slice(1),
    `${text}0`,
    text.replace('-', ' '),
    text.replace('5', 'g'),
    `{${digits}}`,
    `{${text}`,
    `{${text})`,
    `urn:uuid:${digits}`,
    `uuid:urn:${text}`,
    digits.slice(2),
    `${digits}00`,
    text.replace('-a7', 'a7-'),
  ]) {
    test(`refuses ${JSON.stringify(refused)}`, () => {
      assert.equal(parseUuid(Buffer.from(refused)), null);
    });
  }

  test('is printed at an offset', () => {
    const target = Buffer.alloc(40, '.');
    const source = Buffer.concat([Buffer.alloc(3), uuid(text)]);
    assert.equal(printUuid(source, 3, target, 2), 38);
    assert.equal(target.toString(), `..${text}..`);
  });
});
