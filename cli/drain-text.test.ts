import assert from 'node:assert/strict';
import { test } from 'node:test';

import { drainText } from './drain-text.ts';

const safe = { member: 'm', endsInMs: 299_000, leading: [], blocked: [], isSafeToStop: true };
const end = 'It leads nothing for 5 more minutes; --cancel ends that.';

test('a member that can be missed is safe to stop', () => {
  assert.equal(drainText(safe), `safe to stop\n${end}`);
});

test('what stands against it is named, but not without end', () => {
  const leading = Array.from({ length: 12 }, (_, i) => i);
  const blocked = leading.map((bucket) => ({ bucket, reason: 'none of the others leads it' }));
  const few = { ...safe, leading: [3], blocked: blocked.slice(0, 1), isSafeToStop: false };
  assert.equal(
    drainText(few),
    `not safe to stop yet\nit still leads bucket 3\nbucket 0: none of the others leads it\n${end}`,
  );
  const many = drainText({ ...safe, leading, blocked, isSafeToStop: false }).split('\n');
  assert.equal(many[1], 'it still leads bucket 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more');
  assert.deepEqual([many.length, many.at(-2)], [14, 'and 2 more buckets']);
});
