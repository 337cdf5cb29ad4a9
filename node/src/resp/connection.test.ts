import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Connection } from './connection.ts';

test('RESET returns every property of a connection to that of a new one', () => {
  const connection = new Connection(7, 'auto');
  connection.hello();
  connection.setLibraryName('redis-py');
  connection.name = 'worker';
  connection.readOnly = true;
  connection.reset();
  assert.deepEqual(
    [connection.version, connection.libraryName, connection.name, connection.readOnly],
    [3, '', '', false],
  );
  connection.setLibraryName('redis-py');
  assert.equal(connection.version, 2);
});
