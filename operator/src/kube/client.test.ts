import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { KubeClient } from './client.ts';
import { configMaps, podDisruptionBudgets, pods } from './resources.ts';
import { refusal, type ConfigMap } from './testing/api-suite.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { HastyTimers } from './testing/manual-timers.ts';
import { KubeError, type KubeObject } from './types.ts';

const namespace = 'default';
const configMap = (name: string, data = {}): ConfigMap => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data },
});

describe('KubeClient', () => {
  let server: FakeApiServer;
  let timers: HastyTimers;
  let client: KubeClient;

  beforeEach(async () => {
    server = await FakeApiServer.open();
    timers = new HastyTimers();
    client = new KubeClient(server.connection, { timers, pageSize: 2 });
  });

  afterEach(async () => {
    await client.close();
    await server.close();
  });

  it('reads again where the server was busy or gone, and waits as long as it is told', async () => {
    server.put(configMaps, configMap('a'));
    server.failRequest(1, { code: 503 });
    server.failRequest(2, { code: 429, retryAfterSeconds: 3 });
    server.failRequest(3, { code: null });
    assert.ok((await client.get(configMaps, { namespace, name: 'a' })) !== null);
    assert.equal(server.requests.length, 4);
    assert.equal(timers.delays[1], 3000);
  });

  it('gives up after a few times, and at once where it would be the same again', async () => {
    server.faultOf = () => ({ code: 500, reason: 'InternalError' });
    await assert.rejects(client.list(configMaps), refusal(500, 'InternalError'));
    assert.equal(server.requests.length, 4);
    server.faultOf = () => ({ code: 403, reason: 'Forbidden' });
    await assert.rejects(client.list(configMaps), refusal(403, 'Forbidden'));
    assert.equal(server.requests.length, 5);
  });

  it('never repeats a write, also one that took effect without an answer', async () => {
    server.failRequest(1, { code: null, takesEffect: true });
    await assert.rejects(client.create(configMaps, configMap('a')), refusal(0, ''));
    assert.equal(server.requests.length, 1);
    assert.ok(server.get(configMaps, { namespace, name: 'a' }) !== null);
    server.failRequest(1, { code: 503, reason: 'ServiceUnavailable', retryAfterSeconds: 2 });
    await assert.rejects(client.apply(configMaps, configMap('b')), (error) => {
      assert.ok(error instanceof KubeError);
      assert.deepEqual([error.code, error.retryAfterMs], [503, 2000]);
      return true;
    });
    assert.equal(server.requests.length, 2);
    assert.equal(server.get(configMaps, { namespace, name: 'b' }), null);
  });

  it('sends no write that its fence does not let pass', async () => {
    const fenced = new KubeClient(server.connection, {
      mayWrite: () => {
        throw new KubeError('not the leader', { code: 0, reason: 'NotLeader' });
      },
    });
    const { metadata } = configMap('a');
    const writes: (() => Promise<unknown>)[] = [
      () => fenced.create(configMaps, configMap('a')),
      () => fenced.apply(configMaps, configMap('a')),
      () => fenced.replace(configMaps, configMap('a')),
      () => fenced.replaceStatus(configMaps, configMap('a')),
      () => fenced.patch(configMaps, metadata, {}),
      () => fenced.delete(configMaps, metadata),
      () => fenced.evict(metadata),
    ];
    for (const write of writes) {
      await assert.rejects(async () => write(), refusal(0, 'NotLeader'));
    }
    assert.deepEqual(await fenced.list(configMaps), []);
    assert.deepEqual(server.writes, []);
    await fenced.close();
  });

  it('begins a list again whose snapshot is gone, and gives it of one moment', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) server.put(configMaps, configMap(name));
    server.faultOf = () => {
      if (server.requests.length !== 2) return null;
      server.put(configMaps, configMap('ab'));
      server.compact();
      return null;
    };
    const names = (await client.list(configMaps)).map(({ metadata }) => metadata.name);
    assert.deepEqual(names, ['a', 'ab', 'b', 'c', 'd', 'e']);
    assert.equal(server.requests.length, 5);
  });

  it('answers false where a disruption budget forbids an eviction', async () => {
    const metadata = { namespace, name: 'a', labels: { app: 'x' } };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running' } };
    server.put(pods, pod);
    const budget = (disruptionsAllowed: number): KubeObject => ({
      ...{ apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata },
      ...{ spec: { selector: { matchLabels: { app: 'x' } } }, status: { disruptionsAllowed } },
    });
    server.put(podDisruptionBudgets, budget(0));
    assert.equal(await client.evict(metadata), false);
    server.put(podDisruptionBudgets, budget(1));
    assert.equal(await client.evict(metadata), true);
    assert.equal(server.get(pods, metadata), null);
  });

  it('shows a pod on a node as going until its kubelet has ended it', async () => {
    const metadata = { namespace, name: 'a' };
    server.put(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { nodeName: 'n' },
    } as KubeObject);
    assert.equal(await client.delete(pods, metadata), true);
    const going = await client.get(pods, metadata);
    assert.ok(going?.metadata.deletionTimestamp !== undefined);
    server.remove(pods, metadata);
    assert.equal(await client.get(pods, metadata), null);
  });

  it('asks what the server has once a minute', async () => {
    assert.equal(await client.serves(pods), true);
    assert.equal(await client.serves(configMaps), true);
    assert.equal(server.requests.length, 1);
    const waited = timers.after(60_000, () => undefined);
    await new Promise(setImmediate);
    waited();
    assert.equal(await client.serves(pods), true);
    assert.equal(server.requests.length, 2);
  });

  it('does not wait for ever for a server that says nothing', async () => {
    const hurried = new KubeClient(server.connection, { timeoutMs: 50 });
    server.freeze();
    await assert.rejects(hurried.create(configMaps, configMap('a')), refusal(0, ''));
    server.thaw();
    await hurried.close();
  });

  it('is told of breaks of a watch', async () => {
    const options = { namespace, resourceVersion: String(server.revision), timeoutSeconds: 60 };
    const watch = client.watch(configMaps, { ...options, signal: AbortSignal.timeout(60_000) });
    const next = watch.next();
    await server.watched(1);
    server.put(configMaps, configMap('a'));
    assert.equal((await next).value?.type, 'ADDED');
    const broken = watch.next();
    server.cut();
    await assert.rejects(broken, refusal(0, ''));
  });

  it('names the path that a cluster does not have', async () => {
    await assert.rejects(client.get(pods, { name: 'a' }), /Pod a needs a namespace/);
  });
});
