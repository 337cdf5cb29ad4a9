import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileConfig, type EffectiveSetting } from './compile.ts';
import { formatEffective, formatProblems, usage } from './print.ts';
import { settingKeys, settingOf } from './settings.ts';
import { fromFlags, fromToml } from './sources.ts';

function effectiveOf(toml: string, flags: readonly string[] = []): readonly EffectiveSetting[] {
  const compiled = compileConfig([fromToml('printed.toml', toml), fromFlags(flags)]);
  assert.ok(compiled.ok);
  return compiled.effective;
}

describe('the printed configuration', () => {
  it('can be read back and means the same', () => {
    const sets = [
      'dir=/a "b"',
      'bucket.count=8',
      'bucket.ids=1,2',
      'network.admin_address=[::1]:1',
    ];
    const flags = sets.flatMap((set) => ['--set', set]);
    const first = effectiveOf('', flags);
    const second = effectiveOf(formatEffective(first));
    const values = (all: readonly EffectiveSetting[]): unknown[] => all.map(({ value }) => value);
    assert.deepEqual(values(second), values(first));
  });

  it('says where each value came from', () => {
    const text = formatEffective(effectiveOf('[bucket]\ncount = 8', ['-d', '/x']));
    assert.match(text, /^dir = "\/x" +# -d$/m);
    assert.match(text, /^\[bucket\]\ncount = 8 +# printed\.toml$/m);
    assert.match(text, /^level = "info" +# default$/m);
  });

  it('leaves out what has no effect, unless someone set it', () => {
    assert.doesNotMatch(formatEffective(effectiveOf('')), /\[sync\]/);
    const text = formatEffective(effectiveOf('[sync]\nmin_bytes = 1'));
    assert.match(text, /\[sync\]\nmin_bytes = 1 +# printed\.toml; no effect: a round is synced/);
  });
});

describe('the texts for people', () => {
  it('the help names every flag', () => {
    const help = usage();
    for (const key of settingKeys) {
      const { flag } = settingOf(key);
      if (flag !== undefined) assert.ok(help.includes(`--${flag}`), flag);
    }
  });

  it('one mistake and several read well', () => {
    const problem = { source: 'a.toml', key: 'bucket.count', reason: 'must be less' };
    assert.equal(
      formatProblems([problem]),
      'The configuration has a mistake:\n  a.toml: bucket.count: must be less\n',
    );
    assert.match(
      formatProblems([problem, { ...problem, key: null }]),
      /has 2 mistakes:\n.*\n {2}a\.toml: must/,
    );
  });
});
