import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import test from 'node:test';

import { OperatorMetrics } from './metrics.ts';
import { openOperatorServer } from './server.ts';

test('probes tell what is wrong, and metrics what was done', async () => {
  const faults = { wedged: null as string | null, unready: null as string | null };
  const metrics = new OperatorMetrics({ queueDepth: () => 2 });
  const health = { wedged: () => faults.wedged, unready: () => faults.unready };
  const server = await openOperatorServer({ host: '127.0.0.1', port: 0 }, health, metrics);
  try {
    const { port } = server.server.address() as AddressInfo;
    const ask = (path: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${String(port)}${path}`);
    assert.equal((await ask('/livez')).status, 200);
    faults.unready = 'nothing was listed yet';
    const unready = await ask('/readyz');
    assert.equal(unready.status, 503);
    assert.match(await unready.text(), /nothing was listed yet/);
    faults.wedged = 'a look does not end';
    assert.equal((await ask('/livez')).status, 503);
    metrics.phase('shop', 'orders', 'Forming');
    metrics.phase('shop', 'orders', 'Ready');
    metrics.phase('shop', 'gone', 'Ready');
    metrics.phase('shop', 'gone', null);
    metrics.reconciled('done', 0.2);
    const text = await (await ask('/metrics')).text();
    const phases = text.split('\n').filter((line) => line.startsWith('sierradb_operator_cluster_'));
    assert.deepEqual(phases, [
      'sierradb_operator_cluster_phase{namespace="shop",name="orders",phase="Ready"} 1',
    ]);
    assert.match(text, /sierradb_operator_queue_depth 2/);
    assert.match(text, /sierradb_operator_reconciles_total\{result="done"\} 1/);
  } finally {
    await server.close();
  }
});
