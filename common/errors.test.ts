import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { errorOutcomes } from './errors.ts';

test('docs/errors.md has every code, and says of each whether the request may have been done', () => {
  const text = readFileSync(join(import.meta.dirname, '..', 'docs', 'errors.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  const told = rows.flatMap((row) => {
    const [codes = '', done = ''] = row.split('|').slice(1);
    const outcome = done.includes('unknown') ? 'unknown' : 'not done';
    return codes.split(',').map((code) => [code.replaceAll(/[` ]/g, ''), outcome] as const);
  });
  const sorted = (pairs: readonly (readonly [string, string])[]): (readonly [string, string])[] =>
    [...pairs].sort(([a], [b]) => a.localeCompare(b));
  assert.deepEqual(sorted(told), sorted(Object.entries(errorOutcomes)));
});
