import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { RequestDecoder } from './decoder.ts';
import { respLimits } from './limits.ts';
import { decode, describeRequests, fuzzDecoder } from './testing/fuzz-decoder.ts';
import { command } from './testing/raw-client.ts';

const MIB = 1024 * 1024;
const limits = respLimits(16 * MIB);

describe('decoder', () => {
  test('random streams, whole and in pieces', () => {
    fuzzDecoder(Number(process.env['SEED'] ?? 1), Number(process.env['SEEDS'] ?? 400));
  });

  test('a large command that drips in byte by byte', () => {
    const payload = Buffer.alloc(MIB, 'p');
    const bytes = command('EAPPEND', 's', 'E', 'PAYLOAD', payload);
    const decoder = new RequestDecoder(limits);
    for (let at = 0; at < bytes.length - 1; at += 1) {
      decoder.feed(bytes.subarray(at, at + 1));
      assert.equal(decoder.next(), null);
    }
    assert.equal(decoder.heldBytes, bytes.length - 1);
    decoder.feed(bytes.subarray(bytes.length - 1));
    const request = decoder.next();
    assert(request?.kind === 'command');
    assert(request.args[4]?.equals(payload));
    assert.equal(decoder.heldBytes, 0);
  });

  test('4 MiB without a line end are refused after 64 KiB', () => {
    const decoder = new RequestDecoder(limits);
    const piece = Buffer.alloc(1024, 'x');
    let pieces = 0;
    let request = null;
    while (request === null) {
      decoder.feed(Buffer.from(piece));
      request = decoder.next();
      pieces += 1;
    }
    assert.deepEqual(request, { kind: 'fault', text: 'too big inline request' });
    assert.equal(pieces, 65);
    assert.equal(decoder.heldBytes, 0);
  });

  test('a command that is too large is not kept, whether it says so at once or grows to it', () => {
    for (const head of ['*2\r\n$4\r\nECHO\r\n$536870912\r\n', '*1048576\r\n']) {
      const decoder = new RequestDecoder(respLimits(MIB));
      decoder.feed(Buffer.from(head));
      assert.equal(decoder.next(), null);
      const piece = Buffer.from(
        head.startsWith('*2') ? 'x'.repeat(70_000) : '$1\r\nx\r\n'.repeat(10_000),
      );
      let heldMax = 0;
      for (let i = 0; i < 100; i += 1) {
        decoder.feed(Buffer.from(piece));
        assert.equal(decoder.next(), null);
        heldMax = Math.max(heldMax, decoder.heldBytes);
      }
      assert(heldMax <= 2 * MIB + piece.length, String(heldMax));
      assert.equal(decoder.heldBytes, 0);
    }
  });

  test('the most arguments', () => {
    const bytes = Buffer.from(`*1048576\r\n${'$1\r\nx\r\n'.repeat(1_048_576)}`);
    const [request] = decode([bytes], limits);
    assert(request?.kind === 'command');
    assert.equal(request.args.length, 1_048_576);
  });

  test('the same fault again and again', () => {
    const decoder = new RequestDecoder(limits);
    decoder.feed(Buffer.from('*x\r\n*1\r\n$4\r\nPING\r\n'));
    const fault = ['fault invalid multibulk length'];
    for (let i = 0; i < 3; i += 1) {
      const request = decoder.next();
      assert(request !== null);
      assert.deepEqual(describeRequests([request]), fault);
    }
  });

  test('arguments stay when later chunks arrive', () => {
    const decoder = new RequestDecoder(limits);
    const first = command('ECHO', 'first');
    decoder.feed(Buffer.from(first.subarray(0, 10)));
    assert.equal(decoder.next(), null);
    decoder.feed(Buffer.concat([first.subarray(10), command('ECHO', 'second').subarray(0, 12)]));
    const request = decoder.next();
    assert.equal(decoder.next(), null);
    decoder.feed(Buffer.alloc(500, 'x'));
    decoder.next();
    assert(request?.kind === 'command');
    assert.deepEqual(request.args.map(String), ['ECHO', 'first']);
  });
});
