import assert from 'node:assert/strict';
import { test } from 'node:test';

import { interleave, ratioOf, spreadOf } from './statistics.ts';

test('the spread of odd and even counts', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
  assert.deepEqual(spreadOf([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  assert.deepEqual(spreadOf([5]), { median: 5, min: 5, max: 5 });
});

test('ratios are taken pair by pair', () => {
  // The medians alone would say 1.
  assert.deepEqual(ratioOf([1, 10, 100], [10, 100, 10]), { median: 0.1, min: 0.1, max: 10 });
});

test('rounds alternate their order and keep their results apart', async () => {
  const order: string[] = [];
  const contender =
    (name: string) =>
    (round: number): Promise<string> => {
      order.push(name);
      return Promise.resolve(`${name}${String(round)}`);
    };
  const results = await interleave(3, [contender('a'), contender('b')]);
  assert.deepEqual(order, ['a', 'b', 'b', 'a', 'a', 'b']);
  assert.deepEqual(results, [
    ['a0', 'a1', 'a2'],
    ['b0', 'b1', 'b2'],
  ]);
});
