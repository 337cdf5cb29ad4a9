import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { hashBytes } from './hash.ts';
import { StreamTable } from './stream-table.ts';

test('streams are told apart and counted as a Map would', () => {
  const random = seededRandom(11);
  const table = new StreamTable();
  const model = new Map<string, { number: number; first: number; count: number }>();
  for (let i = 0; i < 40_000; i += 1) {
    const name = `s${String(random.below(9000))}`;
    const known = model.get(name);
    const version = known === undefined ? random.below(1000) : known.first + known.count;
    const bytes = Buffer.from(`xx${name}yy`);
    const stream = table.count(bytes, 2, bytes.length - 2, version);
    if (known === undefined) {
      assert.equal(stream, model.size);
      model.set(name, { number: stream, first: version, count: 1 });
    } else {
      assert.equal(stream, known.number);
      known.count += 1;
    }
  }
  assert.equal(table.size, model.size);
  for (const [name, { number, first, count }] of model) {
    const bytes = Buffer.from(name);
    assert.equal(table.hashes.at(number), hashBytes(bytes, 0, bytes.length));
    assert.equal(table.firstVersions.at(number), first);
    assert.equal(table.counts.get(number), count);
  }
});

test('streams with one hash stay apart', () => {
  const table = new StreamTable(() => 77);
  const names = ['a', 'b', 'ab', 'ba', 'aa'].map((name) => Buffer.from(name));
  for (let version = 0; version < 5; version += 1) {
    names.forEach((name, i) => {
      assert.equal(table.count(name, 0, name.length, version), i);
    });
  }
  assert.equal(table.size, names.length);
});

test('a version that does not follow is refused', () => {
  const table = new StreamTable();
  const name = Buffer.from('stream');
  assert.equal(table.count(name, 0, 6, 5), 0);
  assert.equal(table.count(name, 0, 6, 5), -1);
  assert.equal(table.count(name, 0, 6, 7), -1);
  assert.equal(table.count(name, 0, 6, 6), 0);
});
