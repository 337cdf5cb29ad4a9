import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Connection } from './connection.ts';

test('RESET returns every property of a connection to that of a new one', () => {
  let closed = 0;
  const subscriptions = {
    find: () => undefined,
    close: () => false,
    closeAll: () => void (closed += 1),
  };
  const connection = new Connection(7, 'auto', subscriptions);
  connection.hello();
  connection.setLibraryName('redis-py');
  connection.name = 'worker';
  connection.readOnly = true;
  connection.reset();
  assert.deepEqual(
    [connection.version, connection.libraryName, connection.name, connection.readOnly],
    [3, '', '', false],
  );
  assert.equal(closed, 1);
  connection.setLibraryName('redis-py');
  assert.equal(connection.version, 2);
  assert.equal(closed, 2, 'there are no subscriptions on RESP2');
});
