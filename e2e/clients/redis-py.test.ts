import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { NodeProcess } from '../testing/node-process.ts';

/** `python3 -m venv e2e/.venv && e2e/.venv/bin/pip install redis` makes the first of these. */
const pythons = [path.resolve(import.meta.dirname, '../.venv/bin/python'), 'python3'];
const script = path.join(import.meta.dirname, 'redis_py_conversation.py');

const python = pythons.find(
  (program) =>
    (!path.isAbsolute(program) || existsSync(program)) &&
    spawnSync(program, ['-c', 'import redis']).status === 0,
);
const skip = python === undefined ? 'redis-py is not installed (see the top of this file)' : false;

describe('redis-py', { skip }, () => {
  for (const protocol of ['2', '3']) {
    test(`protocol ${protocol}`, async () => {
      assert(python !== undefined);
      await using node = await NodeProcess.start();
      const { status, stderr } = spawnSync(python, [script, String(node.port), protocol], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
    });
  }
});
