import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createClient as createClient6 } from 'redis';
import { createClient as createClient4 } from 'redis4';
import { createClient as createClient5 } from 'redis5';

import { converse, type ReplyShape } from '../testing/conversation.ts';
import { NodeProcess } from '../testing/node-process.ts';

/** The part of all versions that is used here. */
interface Client {
  connect(): Promise<unknown>;
  sendCommand(args: string[]): Promise<unknown>;
  quit(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

interface Version {
  readonly name: string;
  readonly shape: ReplyShape;
  open(port: number): Client;
}

const versions: readonly Version[] = [
  {
    name: 'node-redis 4',
    shape: 'arrays',
    open: (port) => createClient4({ url: `redis://127.0.0.1:${port}` }),
  },
  {
    name: 'node-redis 5',
    shape: 'arrays',
    open: (port) => createClient5({ url: `redis://127.0.0.1:${port}` }),
  },
  {
    name: 'node-redis 5 with RESP 3',
    shape: 'maps',
    open: (port) => createClient5({ url: `redis://127.0.0.1:${port}`, RESP: 3 }),
  },
  {
    name: 'node-redis 6',
    shape: 'maps',
    open: (port) => createClient6({ url: `redis://127.0.0.1:${port}` }),
  },
];

for (const { name, shape, open } of versions) {
  describe(name, () => {
    test('the conversation', async () => {
      await using node = await NodeProcess.start();
      const errors: Error[] = [];
      const client = open(node.port);
      client.on('error', (error) => errors.push(error));
      await client.connect();
      await converse((...args) => client.sendCommand(args), shape);
      const appends = Array.from({ length: 200 }, () =>
        client.sendCommand(['EAPPEND', 'many', 'E']),
      );
      await Promise.all(appends);
      assert.equal(await client.sendCommand(['ESVER', 'many']), 199);
      await client.quit();
      assert.deepEqual(errors, []);
    });
  });
}
