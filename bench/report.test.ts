import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatNumber, formatTable, judge, type Row } from './report.ts';

const spread = (median: number) => ({ median, min: median, max: median });

const row: Row = {
  measure: 'appends',
  unit: '/s',
  ours: spread(500),
  peer: spread(1000),
  ratio: { median: 0.5, min: 0.45, max: 0.6 },
  target: { judged: 'ratio', better: 'higher', reach: 0.5, aim: 0.8 },
  loadCores: 0.5,
  foreignCores: 0,
  note: '',
};

test('judges the median against reach and aim', () => {
  assert.equal(judge(row), 'reach');
  assert.equal(judge({ ...row, ratio: spread(0.8) }), 'aim');
  assert.equal(judge({ ...row, ratio: spread(0.49) }), 'no');
  const lower = { judged: 'ours', better: 'lower', reach: 30, aim: 20 } as const;
  assert.equal(judge({ ...row, ours: spread(25), target: lower }), 'reach');
  assert.equal(judge({ ...row, ours: spread(31), target: lower }), 'no');
});

test('does not judge what has no target or no peer', () => {
  assert.equal(judge({ ...row, target: null }), '-');
  assert.equal(judge({ ...row, peer: null, ratio: null }), '-');
});

test('numbers keep three digits', () => {
  assert.deepEqual([0, 0.123, 9.87, 45.67, 999.4, 12_345, 320_000, 3_456_789].map(formatNumber), [
    '0',
    '0.12',
    '9.87',
    '45.7',
    '999',
    '12.3 k',
    '320 k',
    '3.46 M',
  ]);
});

test('every line of the table has the same width, notes follow', () => {
  const [heading, rule, first, blank, note] = formatTable([{ ...row, note: 'a remark' }]).split(
    '\n',
  );
  assert.equal(heading!.length, first!.length);
  assert.equal(rule!.length, first!.length);
  assert.match(first!, /0\.50 \[0\.45\.\.0\.60\]/);
  assert.equal(blank, '');
  assert.equal(note, '* appends: a remark');
});

test('says when the generator or somebody else set the pace', () => {
  assert.doesNotMatch(formatTable([row]), /\n\*/);
  assert.match(formatTable([{ ...row, loadCores: 0.95 }]), /generator was at its limit/);
  assert.match(formatTable([{ ...row, foreignCores: 0.5 }]), /other programs/);
});
