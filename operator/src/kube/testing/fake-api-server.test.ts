import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { KubeClient } from '../client.ts';
import { configMaps, pods } from '../resources.ts';
import type { KubeObject } from '../types.ts';
import { apiSuite, samples, type ConfigMap } from './api-suite.ts';
import { FakeApiServer } from './fake-api-server.ts';

apiSuite('the fake API server', async () => {
  const server = await FakeApiServer.open();
  server.register(samples);
  return {
    connection: server.connection,
    namespace: 'suite',
    forget: () => {
      server.compact();
    },
    close: () => server.close(),
  };
});

describe('FakeApiServer', () => {
  let server: FakeApiServer;
  let client: KubeClient;
  const metadata = { namespace: 'default', name: 'a' };

  beforeEach(async () => {
    server = await FakeApiServer.open();
    client = new KubeClient(server.connection);
  });

  afterEach(async () => {
    await client.close();
    await server.close();
  });

  const configMap = (more: object = {}, data = {}): ConfigMap => ({
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...metadata, ...more }, data },
  });

  it('takes objects from a test, and shows them to it', async () => {
    const status = { phase: 'Running' };
    const pod: KubeObject & { readonly status: object } = {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata, status },
    };
    const put = server.put(pods, pod);
    assert.deepEqual(put.status, { phase: 'Running' });
    assert.deepEqual(await client.get(pods, metadata), put);
    assert.deepEqual(server.objects(pods), [put]);
    assert.equal(server.put(pods, pod).metadata.resourceVersion, put.metadata.resourceVersion);
    server.delete(pods, metadata);
    assert.equal(server.get(pods, metadata), null);
    assert.deepEqual(server.writes, []);
  });

  it('says which requests were to write', async () => {
    await client.apply(configMaps, configMap());
    await client.get(configMaps, metadata);
    await client.delete(configMaps, metadata);
    const path = '/api/v1/namespaces/default/configmaps/a';
    assert.deepEqual(server.writes, [`PATCH ${path}`, `DELETE ${path}`]);
    assert.equal(server.requests.length, 3);
  });

  it('carries out what it answers with an error, where the test wants that', async () => {
    server.failRequest(2, { code: 500, takesEffect: true });
    server.failRequest(3, { code: 500 });
    await client.create(configMaps, configMap({ name: 'a' }));
    await assert.rejects(client.create(configMaps, configMap({ name: 'b' })), { code: 500 });
    await assert.rejects(client.create(configMaps, configMap({ name: 'c' })), { code: 500 });
    assert.deepEqual(
      server.objects(configMaps).map(({ metadata: { name } }) => name),
      ['a', 'b'],
    );
  });

  it('holds requests while it is frozen', async () => {
    server.freeze();
    let isAnswered = false;
    const made = client.create(configMaps, configMap()).then(() => (isAnswered = true));
    while (server.requests.length === 0) await new Promise(setImmediate);
    assert.deepEqual([isAnswered, server.get(configMaps, metadata)], [false, null]);
    server.thaw();
    await made;
  });

  it('leaves what was owned where that was asked for, and what has another owner', async () => {
    const owners = ['a', 'b'].map((name) => server.put(configMaps, configMap({ name })));
    const references = owners.map(({ metadata: { name, uid } }) => ({
      ...{ apiVersion: 'v1', kind: 'ConfigMap', name, uid: uid! },
    }));
    server.put(configMaps, configMap({ name: 'both', ownerReferences: references }));
    server.put(configMaps, configMap({ name: 'one', ownerReferences: [references[1]!] }));
    await client.delete(configMaps, { namespace: 'default', name: 'a' });
    assert.equal(server.objects(configMaps).length, 3);
    const propagation = 'Orphan';
    await client.delete(configMaps, { namespace: 'default', name: 'b' }, { propagation });
    const left = server.objects(configMaps);
    assert.deepEqual(
      left.map(({ metadata: { name } }) => name),
      ['both', 'one'],
    );
    assert.deepEqual(left[1]?.metadata.ownerReferences, []);
  });

  it('refuses an apply that is not forced where another wrote the field', async () => {
    await client.patch(configMaps, (await client.create(configMaps, configMap())).metadata, {
      data: { x: 'theirs' },
    });
    const path = `${server.connection.server}/api/v1/namespaces/default/configmaps/a`;
    const response = await fetch(`${path}?fieldManager=other`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body: JSON.stringify(configMap({}, { x: 'mine' })),
    });
    assert.equal(response.status, 409);
    assert.deepEqual(server.get<ConfigMap>(configMaps, metadata)?.data, { x: 'theirs' });
  });
});
