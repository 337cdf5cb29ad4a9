import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Redis as Redis6 } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';

import { converse } from '../testing/conversation.ts';
import { NodeProcess } from '../testing/node-process.ts';

/** The part of both versions that is used here. */
interface Client {
  call(command: string, ...args: string[]): Promise<unknown>;
  quit(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

const versions: Readonly<Record<string, (port: number) => Client>> = {
  'ioredis 5': (port) => new Redis5({ host: '127.0.0.1', port }),
  'ioredis 6': (port) => new Redis6({ host: '127.0.0.1', port }),
};

for (const [name, open] of Object.entries(versions)) {
  describe(name, () => {
    test('the conversation', async () => {
      await using node = await NodeProcess.start();
      const errors: Error[] = [];
      const client = open(node.port);
      client.on('error', (error) => errors.push(error));
      await converse((command, ...args) => client.call(command, ...args), 'arrays');
      const appends = Array.from({ length: 200 }, () => client.call('EAPPEND', 'many', 'E'));
      const replies = (await Promise.all(appends)) as unknown[][];
      assert.deepEqual(
        replies.map((reply) => reply[9]),
        Array.from({ length: 200 }, (_, version) => version),
      );
      await client.quit();
      assert.deepEqual(errors, []);
    });
  });
}
