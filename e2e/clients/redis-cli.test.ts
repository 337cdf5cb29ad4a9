import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';

import { NodeProcess } from '../testing/node-process.ts';

const installed = spawnSync('redis-cli', ['--version']).status === 0;
const skip = installed ? false : 'redis-cli is not installed';

/** Types lines into redis-cli; returns what it prints. */
function redisCli(port: number, lines: readonly string[], ...flags: string[]): string[] {
  const { stdout, status } = spawnSync('redis-cli', ['-p', String(port), ...flags], {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  return stdout.trimEnd().split('\n');
}

describe('redis-cli', { skip }, () => {
  for (const flags of [[], ['-3']]) {
    test(`a quick start ${flags.join(' ')}`, async () => {
      await using node = await NodeProcess.start();
      const lines = [
        'PING',
        `EAPPEND orders OrderCreated EVENT_ID 550e8400-e29b-41d4-a716-446655440000 PAYLOAD '{"total":99}'`,
        'ESVER orders',
        'EAPPEND orders OrderPaid EXPECTED_VERSION 7',
        'ESCAN orders - + COUNT 10',
        'EGET 00000000-0000-0000-0000-000000000000',
      ];
      const printed = redisCli(node.port, lines, ...flags);
      assert.equal(printed[0], 'PONG');
      const text = printed.join('\n');
      assert.match(text, /partition_id 31/);
      assert.match(text, /\n0\nWRONGVER current stream version is 0 but expected 7 for [^\n]*\n/);
      assert.match(text, /has_more \(false\)\nevents/);
      assert.match(text, /payload \{"total":99\}/);
    });
  }

  test('one command as arguments', async () => {
    await using node = await NodeProcess.start();
    const { stdout } = spawnSync(
      'redis-cli',
      [
        '-p',
        String(node.port),
        'EMAPPEND',
        '550e8400-e29b-41d4-a716-446655440000',
        'a',
        'A',
        'b',
        'B',
      ],
      { encoding: 'utf8' },
    );
    assert.match(stdout, /first_partition_sequence 0\nlast_partition_sequence 1/);
  });
});
