import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { Histogram } from './histogram.ts';

test('an empty histogram answers zeros', () => {
  const histogram = new Histogram();
  assert.deepEqual([histogram.count, histogram.mean, histogram.quantile(0.5)], [0, 0, 0]);
});

test('quantiles are within 4 % of the exact ones, from 1 µs to 10 s', () => {
  const random = seededRandom(7);
  const histogram = new Histogram();
  const exact: number[] = [];
  for (let i = 0; i < 20_000; i += 1) {
    const milliseconds = 10 ** (random.below(7_000_000) / 1_000_000 - 3);
    exact.push(milliseconds);
    histogram.record(milliseconds);
  }
  exact.sort((a, b) => a - b);
  for (const share of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999]) {
    const wanted = exact[Math.floor(share * exact.length)]!;
    const got = histogram.quantile(share);
    assert.ok(Math.abs(got - wanted) <= wanted * 0.04 + 0.001, `p${share}: ${got} ≠ ${wanted}`);
  }
  assert.equal(histogram.count, exact.length);
  assert.equal(histogram.max, exact.at(-1));
});

test('a single value is every quantile', () => {
  const histogram = new Histogram();
  histogram.record(12.5);
  assert.ok(Math.abs(histogram.quantile(0.5) - 12.5) < 0.4);
  assert.equal(histogram.quantile(1), 12.5);
  assert.equal(histogram.mean, 12.5);
});

test('values beyond the range fall into the last bucket', () => {
  const histogram = new Histogram();
  histogram.record(1e9);
  histogram.record(-1);
  assert.equal(histogram.count, 2);
  assert.equal(histogram.max, 1e9);
});
