import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pino from 'pino';
import { loadConfig, type NodeConfig } from './config.ts';
import type { EventStore } from './engine/types.ts';
import { startNode, type ClosableStore, type NodeContext, type NodeParts } from './server.ts';
import { StartError } from './start-error.ts';
import { OpenError } from './storage/errors.ts';
import type { SubscriptionStatistics } from './subscriptions/types.ts';

const loopback = ['--client-address', '127.0.0.1:0', '--dir', '/nowhere'];

function configOf(...flags: string[]): NodeConfig {
  const { compiled } = loadConfig([...loopback, ...flags], {});
  assert.ok(compiled.ok);
  return compiled.config;
}

const unexpected = (error: Error): void => assert.ifError(error);

/** Parts that only write down what happens to them. */
class RecordedParts implements NodeParts {
  readonly events: string[] = [];
  fatal: (error: Error) => void = unexpected;
  storeError: Error | null = null;
  listenerError: Error | null = null;
  /** Resolved by a test that wants recovery to take long. */
  recovered: Promise<void> = Promise.resolve();

  /** Resolved by a test that wants forming to take long. */
  formed: Promise<void> = Promise.resolve();
  hasLeaders = true;

  openCluster: NodeParts['openCluster'] = async (_config, { address, secret }) => {
    this.events.push(`member opened, secret ${secret ?? 'none'}`);
    const note = async (event: string): Promise<void> => void this.events.push(event);
    return {
      address,
      listen: () => note('cluster port opened'),
      formed: () => this.formed,
      isReady: () => this.hasLeaders,
      peerCounts: () => new Map(),
      streamCounts: () => ({ open: 0, refused: 0 }),
      statistics: () => ({
        replicas: { leader: 1, follower: 0, candidate: 0, learner: 0 },
        ...{ leaderless: 0, electionsWon: 0, leaderChanges: 0, uncommitted: 0, lag: new Map() },
        ...{
          catchUp: { replicas: 0, bytes: 0, failures: 0 },
          healing: { segments: 0, failures: 0 },
          digests: { comparisons: 0, mismatches: 0, differing: 0, comparedAtMs: null },
          isDraining: false,
        },
      }),
      leave: () => note('member left'),
      close: () => note('cluster port closed'),
      openStore: this.openStore,
      openListener: this.openListener,
    };
  };

  openStore: NodeParts['openStore'] = async (_directory, _options, { observer, onFatal }) => {
    await this.recovered;
    if (this.storeError !== null) throw this.storeError;
    this.events.push('store opened');
    this.fatal = onFatal;
    observer.roundSynced(3, 4096, 0.002);
    observer.recovery('torn-tail', { bytes: 12 });
    return recordedStore(this.events);
  };

  openListener: NodeParts['openListener'] = async (_store, _config, { observer }) => {
    if (this.listenerError !== null) throw this.listenerError;
    this.events.push('listener opened');
    observer.connectionOpened();
    const close = async (): Promise<void> => void this.events.push('listener closed');
    const subscriptions = (): SubscriptionStatistics => ({
      open: 5,
      targets: 9,
      waitingForAcknowledgement: 2,
      waitingForSink: 1,
      delivered: 1000,
      failed: 3,
    });
    return { host: '127.0.0.1', port: 4711, subscriptions, close };
  };
}

function recordedStore(events: string[]): ClosableStore {
  const store: Pick<ClosableStore, 'facts' | 'statistics' | 'cacheStatistics' | 'close'> = {
    facts: {
      memberId: 'm',
      clusterId: 'c',
      partitionCount: 32,
      bucketCount: 4,
      appendMaxBytes: 1,
    },
    statistics: () => ({
      appendsInFlight: 7,
      journalQueuedBytes: 0,
      journalFill: 0.25,
      segmentsSealed: 2,
      segmentBytes: 0,
      headsCached: 0,
      filterBytes: 0,
      quarantined: [],
      diskFull: false,
      openFiles: 0,
    }),
    cacheStatistics: () => ({
      hits: 11,
      misses: 1,
      entries: 0,
      memoryBytes: 0,
      maxBytes: 0,
      blockBytes: 65536,
      evictions: 0,
    }),
    close: async () => void events.push('store closed'),
  };
  return store as EventStore & ClosableStore;
}

function contextOf(parts: NodeParts, onFatal: (error: Error) => void = unexpected): NodeContext {
  return { version: '1.2.3', log: pino({ level: 'silent' }), parts, onFatal };
}

const adminPort0 = ['--admin-address', '127.0.0.1:0'];

async function get(address: { port: number } | null, path: string): Promise<[number, string]> {
  assert.ok(address !== null);
  const response = await fetch(`http://127.0.0.1:${address.port}${path}`);
  return [response.status, await response.text()];
}

async function occupy(t: TestContext, port: number): Promise<Server | null> {
  const server = createServer();
  const taken = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => resolve(true));
  });
  t.after(() => server.close());
  return taken ? server : null;
}

describe('a node', () => {
  it('starts in order, serves its pages, and stops in the reverse order', async () => {
    const parts = new RecordedParts();
    const node = await startNode(configOf(...adminPort0), contextOf(parts));
    assert.equal(node.state, 'serving');
    assert.deepEqual(await get(node.adminAddress, '/livez'), [200, '{"state":"serving"}']);
    assert.deepEqual(await get(node.adminAddress, '/readyz'), [200, '{"state":"serving"}']);
    await node.close();
    assert.equal(node.state, 'stopped');
    assert.deepEqual(parts.events, [
      'store opened',
      'listener opened',
      'listener closed',
      'store closed',
    ]);
  });

  it('with peers joins them first and leaves them last', async () => {
    const parts = new RecordedParts();
    const file = join(await mkdtemp(join(tmpdir(), 'sierradb-server-')), 'secret');
    await writeFile(file, 'between us\n');
    const flags = ['--node-count', '3', '--set', `network.cluster_secret_file=${file}`];
    const node = await startNode(configOf(...adminPort0, ...flags), contextOf(parts));
    assert.deepEqual(await get(node.adminAddress, '/readyz'), [200, '{"state":"serving"}']);
    parts.hasLeaders = false;
    assert.deepEqual(await get(node.adminAddress, '/readyz'), [503, '{"state":"serving"}']);
    await node.close();
    assert.deepEqual(parts.events, [
      'member opened, secret between us',
      'cluster port opened',
      'store opened',
      'listener opened',
      'listener closed',
      'member left',
      'store closed',
      'cluster port closed',
    ]);
    await rm(dirname(file), { recursive: true });
  });

  it('does not start without the secret that it was told to have', async () => {
    const flags = ['--node-count', '3', '--set', 'network.cluster_secret_file=/nowhere/secret'];
    await assert.rejects(
      startNode(configOf(...adminPort0, ...flags), contextOf(new RecordedParts())),
      new StartError('network.cluster_secret_file /nowhere/secret does not exist'),
    );
  });

  it('shows what it measures', async () => {
    const parts = new RecordedParts();
    await using node = await startNode(configOf(...adminPort0), contextOf(parts));
    const [status, text] = await get(node.adminAddress, '/metrics');
    assert.equal(status, 200);
    for (const line of [
      'sierradb_info{version="1.2.3"} 1',
      'sierradb_sync_seconds_bucket{le="0.001"} 0',
      'sierradb_sync_seconds_bucket{le="0.0025"} 1',
      'sierradb_sync_seconds_bucket{le="+Inf"} 1',
      'sierradb_sync_seconds_sum 0.002',
      'sierradb_round_records_count 1',
      'sierradb_recovery_actions_total{action="torn-tail"} 1',
      'sierradb_appends_in_flight 7',
      'sierradb_journal_fill_ratio 0.25',
      'sierradb_segments 2',
      'sierradb_cache_hits_total 11',
      'sierradb_connections 1',
      'sierradb_subscriptions 5',
      'sierradb_subscription_targets 9',
      'sierradb_subscriptions_waiting{reason="acknowledgement"} 2',
      'sierradb_subscriptions_waiting{reason="client"} 1',
      'sierradb_events_pushed_total 1000',
      'sierradb_subscriptions_failed_total 3',
    ]) {
      assert.ok(text.split('\n').includes(line), line);
    }
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
    assert.match(text, /^process_cpu_seconds_total /m);
  });

  it('is alive and not ready while it recovers', async (t) => {
    const parts = new RecordedParts();
    const recovered = Promise.withResolvers<void>();
    parts.recovered = recovered.promise;
    const port = await freePort(t);
    const starting = startNode(configOf('--admin-address', `127.0.0.1:${port}`), contextOf(parts));
    const pages = async (): Promise<[number, string]> => get({ port }, '/livez');
    let live = await pages().catch(() => null);
    while (live === null) live = await pages().catch(() => null);
    assert.deepEqual(live, [200, '{"state":"recovering"}']);
    assert.deepEqual(await get({ port }, '/readyz'), [503, '{"state":"recovering"}']);
    recovered.resolve();
    await using node = await starting;
    assert.equal(node.state, 'serving');
  });

  it('is neither alive nor ready when its store has failed', async () => {
    const parts = new RecordedParts();
    const failures: Error[] = [];
    const context = contextOf(parts, (error) => void failures.push(error));
    await using node = await startNode(configOf(...adminPort0), context);
    parts.fatal(new Error('EIO'));
    assert.equal(failures.length, 1);
    assert.equal((await get(node.adminAddress, '/livez'))[0], 503);
    assert.equal((await get(node.adminAddress, '/readyz'))[0], 503);
    await node.close();
    assert.equal(node.state, 'failed');
  });

  it('closes what it has opened when a later part does not open', async () => {
    const parts = new RecordedParts();
    parts.listenerError = Object.assign(new Error('taken'), { code: 'EADDRINUSE' });
    await assert.rejects(startNode(configOf(...adminPort0), contextOf(parts)), (error) => {
      assert.ok(error instanceof StartError);
      assert.equal(
        error.message,
        'network.client_address 127.0.0.1:0 is in use by another process',
      );
      return true;
    });
    assert.deepEqual(parts.events, ['store opened', 'store closed']);
  });

  it('says in a sentence why the directory does not open', async () => {
    const parts = new RecordedParts();
    parts.storeError = Object.assign(new Error('mkdir'), { code: 'EACCES' });
    await assert.rejects(startNode(configOf(...adminPort0), contextOf(parts)), {
      name: 'StartError',
      message: 'data directory /nowhere may not be read and written by this user',
    });
    parts.storeError = new OpenError('locked', '/nowhere is in use by another process');
    await assert.rejects(startNode(configOf(...adminPort0), contextOf(parts)), {
      name: 'StartError',
      message: '/nowhere is in use by another process',
    });
  });

  it('refuses a taken admin address that was configured', async (t) => {
    const port = await freePort(t);
    await occupy(t, port);
    const config = configOf('--admin-address', `127.0.0.1:${port}`);
    await assert.rejects(startNode(config, contextOf(new RecordedParts())), {
      name: 'StartError',
      message: `network.admin_address 127.0.0.1:${port} is in use by another process`,
    });
  });

  it('does without a taken default admin address', async (t) => {
    const port = await freePort(t);
    await occupy(t, port);
    const config = { ...configOf(), adminAddress: { host: '127.0.0.1', port } };
    await using node = await startNode(config, contextOf(new RecordedParts()));
    assert.equal(node.adminAddress, null);
    assert.equal(node.state, 'serving');
  });
});

async function freePort(t: TestContext): Promise<number> {
  const server = await occupy(t, 0);
  assert.ok(server !== null);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
