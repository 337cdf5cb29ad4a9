import assert from 'node:assert/strict';
import { once, EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { seededRandom } from '../../../common/random.ts';
import { KubeClient } from './client.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { configMaps } from './resources.ts';
import type { ConfigMap } from './testing/api-suite.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { HastyTimers, ManualTimers } from './testing/manual-timers.ts';

const namespace = 'default';
const labels = { app: 'x' };
const configMap = (name: string, data = {}): ConfigMap => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name, labels }, data },
});

describe('Reflector', () => {
  let server: FakeApiServer;
  let client: KubeClient;
  let timers: HastyTimers;
  let stop: AbortController;
  let running: Promise<void>;
  /** What was told, as `a` or `-a`. */
  let told: string[];
  let changes: EventEmitter<{ change: [] }>;

  beforeEach(async () => {
    server = await FakeApiServer.open();
    // Pauses between attempts are over at once; timeouts of watches never come.
    timers = new HastyTimers(30_000);
    client = new KubeClient(server.connection, { timers, pageSize: 2 });
    stop = new AbortController();
    running = Promise.resolve();
    told = [];
    changes = new EventEmitter();
  });

  afterEach(async () => {
    stop.abort();
    await running;
    await client.close();
    await server.close();
  });

  const reflector = (options: Partial<ReflectorOptions<ConfigMap>> = {}): Reflector<ConfigMap> => {
    const made = new Reflector<ConfigMap>(client, {
      ...{ type: configMaps, labelSelector: 'app=x', timers, random: seededRandom(1) },
      changed: ({ metadata }, isDeleted) => {
        told.push(`${isDeleted ? '-' : ''}${metadata.name}`);
        changes.emit('change');
      },
      ...options,
    });
    running = made.run(stop.signal);
    return made;
  };
  const toldOf = async (name: string): Promise<void> => {
    while (!told.includes(name)) await once(changes, 'change');
  };
  const namesIn = (from: Reflector<ConfigMap>): string[] =>
    [...from.values()].map(({ metadata }) => metadata.name).sort();

  it('lists, and follows what happens', async () => {
    for (const name of ['a', 'b', 'c']) server.put(configMaps, configMap(name));
    const maps = reflector();
    await maps.synced;
    assert.ok(maps.isSynced);
    assert.deepEqual(told, ['a', 'b', 'c']);
    server.put(configMaps, configMap('d'));
    server.put(configMaps, configMap('a', { x: '1' }));
    server.remove(configMaps, { namespace, name: 'b' });
    await toldOf('-b');
    assert.deepEqual(told.slice(3), ['d', 'a', '-b']);
    assert.deepEqual(namesIn(maps), ['a', 'c', 'd']);
    assert.deepEqual(maps.get({ namespace, name: 'a' })?.data, { x: '1' });
    assert.ok(!('managedFields' in maps.get({ namespace, name: 'a' })!.metadata));
  });

  it('keeps only what is wanted of an object', async () => {
    server.put(configMaps, configMap('a', { large: 'x' }));
    const maps = reflector({
      transform: ({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata }),
    });
    await maps.synced;
    server.put(configMaps, configMap('b', { large: 'x' }));
    await toldOf('b');
    for (const object of maps.values()) assert.ok(!('data' in object));
  });

  it('goes on where it was when a watch breaks', async () => {
    const maps = reflector();
    await server.watched(1);
    server.put(configMaps, configMap('a'));
    await toldOf('a');
    server.cut();
    server.put(configMaps, configMap('b'));
    await toldOf('b');
    assert.deepEqual(told, ['a', 'b']);
    assert.deepEqual([maps.statistics.relists, maps.statistics.restarts], [0, 1]);
  });

  it('goes on when the server ends its watches', async () => {
    const maps = reflector();
    await server.watched(1);
    server.endWatches();
    await server.watched(0);
    server.put(configMaps, configMap('a'));
    await toldOf('a');
    assert.equal(maps.statistics.relists, 0);
  });

  it('outlives a server that is away, and waits longer each time', async () => {
    const maps = reflector();
    await server.watched(1);
    server.put(configMaps, configMap('a'));
    await toldOf('a');
    timers.delays.length = 0;
    const resume = await server.stop();
    while (timers.delays.length < 9) await new Promise(setImmediate);
    await resume();
    server.put(configMaps, configMap('b'));
    await toldOf('b');
    timers.delays.slice(0, 9).forEach((delay, n) => {
      const limit = Math.min(800 * 2 ** n, 30_000);
      assert.ok(delay >= limit / 2 && delay <= limit, `${delay} of ${limit}`);
    });
    assert.equal(maps.statistics.relists, 0);
    // Since then it was told of something.
    timers.delays.length = 0;
    server.cut();
    server.put(configMaps, configMap('c'));
    await toldOf('c');
    assert.ok(timers.delays[0]! <= 800);
  });

  it('lists again when its version is too old, and tells what happened meanwhile', async () => {
    for (const name of ['a', 'b', 'c']) server.put(configMaps, configMap(name));
    const maps = reflector();
    await server.watched(1);
    server.freeze();
    server.cut();
    server.put(configMaps, configMap('a', { x: '1' }));
    server.remove(configMaps, { namespace, name: 'b' });
    server.put(configMaps, configMap('d'));
    server.compact();
    server.thaw();
    await toldOf('-b');
    assert.deepEqual(told.slice(3), ['a', 'd', '-b']);
    assert.deepEqual(namesIn(maps), ['a', 'c', 'd']);
    assert.equal(maps.statistics.relists, 1);
  });

  it('lists again when it is told so by HTTP', async () => {
    const maps = reflector();
    await server.watched(1);
    server.failRequest(1, { code: 410, reason: 'Expired' });
    server.cut();
    server.put(configMaps, configMap('a'));
    await toldOf('a');
    assert.equal(maps.statistics.relists, 1);
  });

  it('need not list again where bookmarks kept its version new', async () => {
    const maps = reflector();
    await server.watched(1);
    server.put(configMaps, configMap('a'));
    await toldOf('a');
    for (const name of ['p', 'q']) {
      server.put(configMaps, { ...configMap(name), metadata: { namespace, name } });
    }
    const heardAt = maps.statistics.heardAt;
    timers.after(1, () => undefined);
    while (timers.now() === heardAt) await new Promise(setImmediate);
    server.bookmark();
    while (maps.statistics.heardAt === heardAt) await new Promise(setImmediate);
    server.compact();
    server.cut();
    server.put(configMaps, configMap('b'));
    await toldOf('b');
    assert.equal(maps.statistics.relists, 0);
  });

  it('lists again when the same version is refused again and again', async () => {
    server.put(configMaps, configMap('a'));
    server.faultOf = ({ query }) =>
      query.get('watch') !== null && query.get('resourceVersion') === '2' ? { code: 500 } : null;
    const maps = reflector();
    await maps.synced;
    server.put(configMaps, configMap('b'));
    await toldOf('b');
    assert.equal(maps.statistics.relists, 1);
    assert.equal(maps.statistics.failures, 3);
  });

  it('waits for a first list as long as it takes', async () => {
    server.faultOf = () => (server.requests.length < 30 ? { code: 503 } : null);
    server.put(configMaps, configMap('a'));
    const maps = reflector();
    await maps.synced;
    assert.deepEqual(namesIn(maps), ['a']);
  });

  it('breaks off a watch that has been silent for too long', async () => {
    const manual = new ManualTimers();
    const maps = reflector({ timers: manual });
    await server.watched(1);
    server.bookmark();
    while (manual.delays[0] !== 150_000) await new Promise(setImmediate);
    server.freeze();
    await manual.advance(150_000);
    await server.watched(0);
    server.thaw();
    while (manual.delays.length === 0) await new Promise(setImmediate);
    await manual.advance(800);
    await server.watched(1);
    server.put(configMaps, configMap('a'));
    await toldOf('a');
    assert.deepEqual([maps.statistics.relists, maps.statistics.restarts], [0, 1]);
  });

  it('stops at once, whatever it is at, and leaves nothing behind', async () => {
    const manual = new ManualTimers();
    const maps = reflector({ timers: manual });
    await server.watched(1);
    stop.abort();
    await running;
    await server.watched(0);
    assert.deepEqual(manual.delays, []);

    stop = new AbortController();
    server.faultOf = () => ({ code: 403 });
    const failing = reflector({ timers: manual });
    while (manual.delays.length === 0) await new Promise(setImmediate);
    stop.abort();
    await running;
    await failing.synced;
    assert.deepEqual([maps.isSynced, failing.isSynced], [true, false]);
    assert.deepEqual(manual.delays, []);
  });
});
