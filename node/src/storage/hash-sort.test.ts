import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { sortHashes } from './hash-sort.ts';
import { directoryBitsFor, keySpan } from './index-format.ts';

const random = seededRandom(5);
const uniform = (): number => random.below(2 ** 21) * 2 ** 32 + random.below(2 ** 32);

const cases: Record<string, () => number[]> = {
  none: () => [],
  one: () => [uniform()],
  few: () => Array.from({ length: 100 }, uniform),
  many: () => Array.from({ length: 30_000 }, uniform),
  'many equal': () => Array.from({ length: 3000 }, () => random.below(7) * 2 ** 45),
  'crowded into one slot': () => Array.from({ length: 3000 }, () => random.below(1000)),
  extremes: () => [2 ** 53 - 1, 0, 2 ** 53 - 1, 0, 2 ** 32, 2 ** 32 - 1],
};

for (const [name, make] of Object.entries(cases)) {
  test(`hashes are sorted, equal ones in their order: ${name}`, () => {
    const hashes = Float64Array.from(make());
    const bits = directoryBitsFor(hashes.length);
    const { order, directory } = sortHashes(hashes, bits);
    const expected = [...hashes.keys()].sort(
      (a, b) => (hashes[a] as number) - (hashes[b] as number) || a - b,
    );
    assert.deepEqual([...order], expected);
    assert.equal(directory.length, 2 ** bits + 1);
    assert.equal(directory.at(-1), hashes.length);
    for (let slot = 0; slot < 2 ** bits; slot += 1) {
      for (
        let entry = directory[slot] as number;
        entry < (directory[slot + 1] as number);
        entry += 1
      ) {
        const hash = hashes[order[entry] as number] as number;
        assert.equal(Math.floor(hash / keySpan(bits)), slot);
      }
    }
  });
}
