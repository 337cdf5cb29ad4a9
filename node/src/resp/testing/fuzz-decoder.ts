/**
 * A fuzzer for the decoder: streams of requests, whole, mutated or random, are decoded in one piece and in random pieces;
 * both must give the same requests, and nothing may throw. What was generated and not mutated must come out as it went in.
 */
import assert from 'node:assert/strict';

import { type Random, seededRandom } from '../../../../common/random.ts';
import { type Request, RequestDecoder } from '../decoder.ts';
import { type RespLimits, respLimits } from '../limits.ts';
import { command } from './raw-client.ts';

/** Small, so that random input reaches every limit. */
const limits: RespLimits = respLimits(0, {
  argumentsMax: 40,
  blobBytesMax: 3000,
  lineBytesMax: 400,
  commandBytesMax: 2000,
});

/** Requests as text that can be compared. */
export function describeRequests(requests: readonly Request[]): string[] {
  return requests.map((request) => {
    if (request.kind === 'command') {
      return `command ${request.bytes} ${request.args.map((a) => a.toString('hex')).join(' ')}`;
    }
    return request.kind === 'fault' ? `fault ${request.text}` : request.kind;
  });
}

/** Decodes pieces in order, up to the first fault. */
export function decode(pieces: Iterable<Buffer>, decoderLimits: RespLimits = limits): Request[] {
  const decoder = new RequestDecoder(decoderLimits);
  const requests: Request[] = [];
  const held = 2 * Math.max(decoderLimits.commandBytesMax, decoderLimits.lineBytesMax);
  for (const piece of pieces) {
    decoder.feed(piece);
    for (let request = decoder.next(); request !== null; request = decoder.next()) {
      requests.push(request);
      if (request.kind === 'fault') return requests;
    }
    assert(decoder.heldBytes <= held, 'the decoder keeps bounded bytes');
  }
  return requests;
}

/** Cuts `bytes` at random places; each piece is a copy, as from a socket. */
export function* randomPieces(bytes: Buffer, random: Random, max: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.below(max);
    yield Buffer.from(bytes.subarray(at, at + size));
    at += size;
  }
}

const pick = <Item>(random: Random, items: readonly Item[]): Item => {
  const item = items[random.below(items.length)];
  assert(item !== undefined);
  return item;
};

function randomBytes(random: Random, max: number): Buffer {
  const bytes = Buffer.alloc(random.below(max + 1));
  random.fill(bytes);
  return bytes;
}

interface Generated {
  readonly bytes: Buffer;
  readonly expected: string;
}

function blobCommand(random: Random): Generated {
  const args = Array.from({ length: 1 + random.below(8) }, () =>
    randomBytes(random, pick(random, [0, 3, 20, 200])),
  );
  const bytes = command(...args);
  return {
    bytes,
    expected: describeRequests([{ kind: 'command', args, bytes: bytes.length }])[0]!,
  };
}

function mixedCommand(random: Random): Generated {
  const args = [Buffer.from('x')];
  const parts = [Buffer.from('+x\r\n')];
  for (let i = random.below(5); i > 0; i -= 1) {
    const number = Buffer.from(String(random.below(2 ** 32) - 2 ** 31));
    args.push(number, Buffer.from('simple'));
    parts.push(Buffer.concat([Buffer.from(':'), number, Buffer.from('\r\n+simple\r\n')]));
  }
  const bytes = Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...parts]);
  return {
    bytes,
    expected: describeRequests([{ kind: 'command', args, bytes: bytes.length }])[0]!,
  };
}

function otherFrame(random: Random): Generated {
  const words = ['PING', 'echo', 'a', 'bcd'].slice(0, 1 + random.below(4));
  const line = `${words.join(' '.repeat(1 + random.below(3)))}\r\n`;
  const args = words.map((word) => Buffer.from(word));
  return pick(random, [
    { bytes: Buffer.from('\r\n'), expected: '' },
    { bytes: Buffer.from('*0\r\n'), expected: '' },
    { bytes: Buffer.from('$5\r\n*1\r\n$\r\n'), expected: 'stray' },
    { bytes: Buffer.from('_\r\n'), expected: 'stray' },
    { bytes: command('x'.repeat(2001)), expected: 'oversized' },
    {
      bytes: Buffer.from(line),
      expected: describeRequests([{ kind: 'command', args, bytes: line.length }])[0]!,
    },
  ]);
}

const generate = (random: Random): Generated =>
  pick(random, [blobCommand, blobCommand, mixedCommand, otherFrame])(random);

const TOKENS = [
  '\r\n',
  '*',
  '$',
  '-1',
  '*2\r\n',
  '$5\r\n',
  ':',
  '+',
  '99999',
  '"',
  "'",
  '\n',
  '\0',
];

/** Changes, inserts, removes or doubles some bytes. */
function mutate(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const size = random.below(6);
  const front = bytes.subarray(0, at);
  const rest = bytes.subarray(Math.min(at + size, bytes.length));
  switch (random.below(4)) {
    case 0:
      return Buffer.concat([front, rest]);
    case 1:
      return Buffer.concat([front, Buffer.from(pick(random, TOKENS)), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([front, randomBytes(random, 6), rest]);
    default:
      return Buffer.concat([bytes, front]);
  }
}

function round(random: Random): void {
  const generated = Array.from({ length: 1 + random.below(6) }, () => generate(random));
  let bytes: Buffer = Buffer.concat(generated.map((one) => one.bytes));
  const mutations = random.below(4);
  for (let i = 0; i < mutations; i += 1) bytes = mutate(bytes, random);
  const whole = describeRequests(decode([Buffer.from(bytes)]));
  if (mutations === 0) {
    assert.deepEqual(
      whole,
      generated.map((one) => one.expected).filter((text) => text !== ''),
    );
  }
  for (const max of [1, 7, 100]) {
    const pieces = [...randomPieces(bytes, random, max)];
    assert.deepEqual(describeRequests(decode(pieces)), whole, `bytes ${bytes.toString('hex')}`);
  }
}

/** Runs `rounds` random streams from `seed`; throws with the round's seed at the first that fails. */
export function fuzzDecoder(seed: number, rounds: number): void {
  for (let i = 0; i < rounds; i += 1) {
    try {
      round(seededRandom(seed + i));
    } catch (error) {
      throw new Error(`decoder fuzzer failed with seed ${seed + i}`, { cause: error });
    }
  }
}
