import assert from 'node:assert/strict';
import test from 'node:test';

import { IN_FLIGHT_MAX, Progress } from './progress.ts';

test('one answer to two messages makes room for two', () => {
  const progress = new Progress(1);
  progress.matched(1);
  for (let last = 2; last < 20; last += IN_FLIGHT_MAX) {
    for (let i = 0; i < IN_FLIGHT_MAX; i += 1) {
      assert(progress.maySend, `${String(i)} under way behind ${String(progress.match)}`);
      progress.sent(last + i);
    }
    assert(!progress.maySend);
    progress.matched(last + IN_FLIGHT_MAX - 1);
  }
});
