/**
 * What the node measures, in the names under which `GET /metrics` shows it. The other parts report to it through the
 * observers that they define; gauges are read from the store when someone looks.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { CacheStatistics, StoreStatistics } from '../engine/types.ts';
import type { StorageObserver } from '../storage/observer.ts';
import { byteBounds, latencyBounds, recordBounds } from './bounds.ts';
import { CheapHistogram, type Buckets } from './cheap-histogram.ts';
import { ClusterMetrics } from './cluster-metrics.ts';
import { addCounter, CommandMetrics } from './command-metrics.ts';
import { PeerMetrics } from './peer-metrics.ts';
import { SubscriptionMetrics } from './subscription-metrics.ts';

/** What gauges are read from; the store, once it is open. */
export interface MetricsSource {
  statistics(): StoreStatistics;
  cacheStatistics(): CacheStatistics;
}

export class NodeMetrics implements StorageObserver {
  readonly registry: Registry = new Registry();
  readonly commands: CommandMetrics = new CommandMetrics(this.registry);
  readonly subscriptions: SubscriptionMetrics = new SubscriptionMetrics(this.registry);
  readonly peers: PeerMetrics = new PeerMetrics(this.registry);
  readonly cluster: ClusterMetrics = new ClusterMetrics(this.registry);
  readonly #syncSeconds: Buckets;
  readonly #roundRecords: Buckets;
  readonly #roundBytes: Buckets;
  readonly #segmentsSealed: Counter;
  readonly #recoveryActions: Counter<'action'>;
  #source: MetricsSource | null = null;

  constructor(version: string) {
    const { registry } = this;
    // Wakes the process every 20 ms to measure the event loop's delay: the default of 10 ms costs an idle node twice that.
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 });
    this.#syncSeconds = this.#histogram(
      'sierradb_sync_seconds',
      'Time from the write of a journal round until it was durable.',
      latencyBounds,
    );
    this.#roundRecords = this.#histogram(
      'sierradb_round_records',
      'Records that became durable with one journal round.',
      recordBounds,
    );
    this.#roundBytes = this.#histogram(
      'sierradb_round_bytes',
      'Bytes written by one journal round.',
      byteBounds,
    );
    this.#segmentsSealed = new Counter({
      name: 'sierradb_segments_sealed_total',
      help: 'Segments closed for writing since the start.',
      registers: [registry],
    });
    this.#recoveryActions = new Counter({
      name: 'sierradb_recovery_actions_total',
      help: 'What recovery and background repair did since the start.',
      labelNames: ['action'],
      registers: [registry],
    });
    new Gauge({
      name: 'sierradb_info',
      help: 'Constant 1, with the version.',
      labelNames: ['version'],
      registers: [registry],
    }).set({ version }, 1);
    this.#registerStoreGauges();
    this.#registerCacheGauges();
  }

  /** From here on the gauges show this store; null when it is closed. */
  watch(source: MetricsSource | null): void {
    this.#source = source;
  }

  roundSynced(records: number, bytes: number, seconds: number): void {
    this.#syncSeconds.observe(seconds);
    this.#roundRecords.observe(records);
    this.#roundBytes.observe(bytes);
  }

  segmentSealed(): void {
    this.#segmentsSealed.inc();
  }

  recovery(action: string): void {
    this.#recoveryActions.inc({ action });
  }

  #histogram(name: string, help: string, bounds: readonly number[]): Buckets {
    const { registry } = this;
    return new CheapHistogram({ name, help, bounds, label: null, registry }).child('');
  }

  #registerStoreGauges(): void {
    const gauges: Readonly<Record<string, [help: string, (store: StoreStatistics) => number]>> = {
      appends_in_flight: ['Appends accepted and not yet answered.', (s) => s.appendsInFlight],
      journal_queued_bytes: ['Bytes that wait for the next round.', (s) => s.journalQueuedBytes],
      journal_fill_ratio: ['Share of the journal not yet reusable.', (s) => s.journalFill],
      segments: ['Sealed segments on disk.', (s) => s.segmentsSealed],
      segment_bytes: ['Bytes in segments.', (s) => s.segmentBytes],
      heads_cached: ['Streams whose latest version is in memory.', (s) => s.headsCached],
      filter_bytes: ['Memory of bloom filters.', (s) => s.filterBytes],
      quarantined_buckets: ['Buckets that refuse writes.', (s) => s.quarantined.length],
      disk_full: ['1 while appends are refused for lack of space.', (s) => Number(s.diskFull)],
      open_files: ['Files that the store has open.', (s) => s.openFiles],
    };
    for (const [name, [help, read]] of Object.entries(gauges)) {
      this.#gauge(name, help, () => this.#source && read(this.#source.statistics()));
    }
  }

  #registerCacheGauges(): void {
    const cache = (read: (statistics: CacheStatistics) => number) => (): number | null =>
      this.#source && read(this.#source.cacheStatistics());
    const counters: Readonly<Record<string, [help: string, (cache: CacheStatistics) => number]>> = {
      cache_hits_total: ['Block reads answered from memory.', (c) => c.hits],
      cache_misses_total: ['Block reads that went to disk.', (c) => c.misses],
      cache_evictions_total: ['Blocks dropped to make room.', (c) => c.evictions],
    };
    for (const [name, [help, read]] of Object.entries(counters)) {
      const value = cache(read);
      addCounter(this.registry, `sierradb_${name}`, help, () => value() ?? 0);
    }
    this.#gauge(
      'cache_bytes',
      'Memory of cached blocks.',
      cache((c) => c.memoryBytes),
    );
    this.#gauge(
      'cache_bytes_max',
      'Memory that cached blocks may take.',
      cache((c) => c.maxBytes),
    );
  }

  /** A gauge without a value until there is something to read it from. */
  #gauge(name: string, help: string, read: () => number | null): void {
    new Gauge({
      name: `sierradb_${name}`,
      help,
      registers: [this.registry],
      collect() {
        const value = read();
        if (value === null) this.remove();
        else this.set(value);
      },
    });
  }
}
