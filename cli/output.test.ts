import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { Output } from './output.ts';

/** A reader that takes a piece when it is told to. */
class SlowReader extends Writable {
  readonly pieces: string[] = [];
  #take: (error?: Error) => void = () => undefined;

  override _write(piece: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.pieces.push(piece.toString('utf8'));
    this.#take = done;
  }

  take(error?: Error): void {
    this.#take(error);
  }
}

const broken = (code: string): Error => Object.assign(new Error(code), { code });

describe('output', () => {
  it('writes what comes in one turn together, in order', async () => {
    const reader = new SlowReader();
    const output = new Output(reader);
    for (const line of ['a', 'b', 'c']) assert.equal(output.line(line), null);
    assert.deepEqual(reader.pieces, []);
    await setImmediate();
    assert.deepEqual(reader.pieces, ['a\nb\nc\n']);
  });

  it('says that a line is written when the system has it', async () => {
    const reader = new SlowReader();
    const output = new Output(reader);
    const written: number[] = [];
    for (const i of [0, 1, 2]) await output.line(String(i), () => written.push(i));
    const flushed = output.flush();
    assert.deepEqual(written, []);
    reader.take();
    await flushed;
    // Of one piece, the last: what is before it is written too.
    assert.deepEqual(written, [2]);
  });

  it('makes the writer wait for a slow reader', async () => {
    const reader = new SlowReader({ highWaterMark: 100 });
    const output = new Output(reader);
    const waiting = output.line('x'.repeat(70_000));
    assert.ok(waiting !== null);
    let isDrained = false;
    void waiting.then(() => (isDrained = true));
    await setImmediate();
    assert.equal(isDrained, false);
    reader.take();
    await waiting;
    assert.equal(output.line('y'), null);
  });

  it('ends quietly when the reader has gone', async () => {
    const reader = new SlowReader({ highWaterMark: 100 });
    const output = new Output(reader);
    const waiting = output.line('x'.repeat(70_000), () => assert.fail('it was not written'));
    const gone = once(output.gone, 'abort');
    reader.take(broken('EPIPE'));
    await gone;
    await waiting;
    assert.equal(output.line('y'), null);
    await output.flush();
    assert.equal(output.error, null);
    assert.equal(reader.pieces.length, 1);
  });

  it('keeps another error', async () => {
    const reader = new SlowReader();
    const output = new Output(reader);
    void output.line('x');
    const flushed = output.flush();
    reader.take(broken('ENOSPC'));
    await flushed;
    await once(reader, 'close').catch(() => undefined);
    assert.match(String(output.error), /ENOSPC/);
  });
});
