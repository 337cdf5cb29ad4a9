import assert from 'node:assert/strict';
import test from 'node:test';

import { operatorConfig } from './config.ts';

const least = { SIERRADB_OPERATOR_IMAGE: 'sierradb:1', SIERRADB_OPERATOR_NAMESPACE: 'system' };

test('image and namespace are enough', () => {
  const { identity, ...config } = operatorConfig(least);
  assert.deepEqual(config, {
    ...{ defaultImage: 'sierradb:1', namespace: 'system', watchNamespaces: [] },
    ...{ leaseName: 'sierradb-operator', logLevel: 'info' },
    ...{ httpHost: '0.0.0.0', httpPort: 8080 },
  });
  assert.match(identity, /^operator-[0-9a-f]{8}$/);
});

test('namespaces are a list', () => {
  const env = { ...least, SIERRADB_OPERATOR_WATCH_NAMESPACES: ' shop, ,bank', POD_NAME: 'a-1' };
  const { watchNamespaces, identity } = operatorConfig(env);
  assert.deepEqual(watchNamespaces, ['shop', 'bank']);
  assert.match(identity, /^a-1-[0-9a-f]{8}$/);
  assert.notEqual(operatorConfig(env).identity, identity);
});

test('all that is wrong is told at once', () => {
  const env = { SIERRADB_OPERATOR_LOG_LEVEL: 'loud', SIERRADB_OPERATOR_HTTP_ADDRESS: '8080' };
  assert.throws(() => operatorConfig(env), {
    name: 'ConfigError',
    message: [
      'SIERRADB_OPERATOR_LOG_LEVEL must be one of trace, debug, info, warn, error, fatal: loud',
      'SIERRADB_OPERATOR_HTTP_ADDRESS must be HOST:PORT: 8080',
      'SIERRADB_OPERATOR_IMAGE is missing',
      'SIERRADB_OPERATOR_NAMESPACE is missing',
    ].join('\n'),
  });
});
