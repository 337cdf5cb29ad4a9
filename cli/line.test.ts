import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type FlagTable, parseLine } from './line.ts';
import { UsageError } from './usage-error.ts';

const flags: FlagTable = {
  from: { value: 'N', doc: '' },
  key: { value: 'UUID', doc: '' },
  partition: { short: 'p', value: 'N', doc: '', isList: true },
  json: { short: 'j', value: null, doc: '' },
};

const refused = (sentence: RegExp, work: () => unknown): void => {
  assert.throws(work, (error) => error instanceof UsageError && sentence.test(error.message));
};

describe('a command line', () => {
  it('has words and flags in any order', () => {
    const line = parseLine(
      ['a', '--from', '3', '-', '-j', '-p', '1', '-p2', '--partition=3'],
      flags,
    );
    assert.deepEqual(line.words, ['a', '-']);
    assert.equal(line.number('from'), 3);
    assert.deepEqual(line.texts('partition'), ['1', '2', '3']);
    assert.deepEqual([line.has('json'), line.has('key')], [true, false]);
  });

  it('takes everything behind -- as words', () => {
    assert.deepEqual(parseLine(['--', '-j', '--from'], flags).words, ['-j', '--from']);
  });

  it('takes a value that begins with a dash', () => {
    assert.equal(parseLine(['--from', '-1'], flags).text('from'), '-1');
    assert.equal(parseLine(['--from=-1'], flags).text('from'), '-1');
  });

  it('names the nearest flag', () => {
    refused(/^unknown flag --form; did you mean --from\?$/, () =>
      parseLine(['--form', '1'], flags),
    );
    refused(/^unknown flag --partitoin=7; did you mean --partition\?$/, () =>
      parseLine(['--partitoin=7'], flags),
    );
    refused(/^unknown flag -x$/, () => parseLine(['-x'], flags));
  });

  it('refuses what a flag cannot be', () => {
    refused(/--from needs a value: N/, () => parseLine(['--from'], flags));
    refused(/--json takes no value/, () => parseLine(['--json=yes'], flags));
    refused(/--from is given twice/, () => parseLine(['--from=1', '--from=2'], flags));
    for (const text of ['-1', '1.5', '', 'x', '1e3', '99999999999999999999']) {
      refused(/--from needs a whole number from 0 on, but got/, () =>
        parseLine([`--from=${text}`], flags).number('from'),
      );
    }
    refused(/from 1 on/, () => parseLine(['--from=0'], flags).number('from', 1));
    refused(/--from and --json exclude each other/, () =>
      parseLine(['--from=0', '-j'], flags).exclusive('key', 'from', 'json'),
    );
  });

  it('knows every form of a UUID', () => {
    const usual = '550e8400-e29b-41d4-a716-446655440000';
    for (const text of [usual, usual.toUpperCase(), `{${usual}}`, usual.replaceAll('-', '')]) {
      assert.equal(parseLine(['--key', text], flags).uuid('key'), usual);
    }
    refused(/--key needs a UUID, but got 7/, () => parseLine(['--key', '7'], flags).uuid('key'));
  });
});
