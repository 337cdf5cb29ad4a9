import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { seededRandom } from '../common/random.ts';
import { Fifo } from './fifo.ts';

describe('a fifo', () => {
  it('does what an array does', () => {
    const random = seededRandom(1);
    const fifo = new Fifo<number>();
    const array: number[] = [];
    for (let i = 0; i < 5000; i += 1) {
      // Grows for a while, then shrinks for a while.
      if (random.below(10) < (i % 1000 < 500 ? 7 : 3)) {
        fifo.push(i);
        array.push(i);
      } else {
        assert.equal(fifo.peek(), array[0]);
        assert.equal(fifo.shift(), array.shift());
      }
      assert.equal(fifo.length, array.length);
      const odd = (item: number): boolean => item % 2 === 1;
      if (i % 50 === 0) assert.equal(fifo.find(odd), array.find(odd));
    }
    assert.deepEqual(fifo.take(), array);
    assert.equal(fifo.length, 0);
    assert.equal(fifo.shift(), undefined);
  });
});
