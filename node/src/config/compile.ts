/**
 * From what was written in file, environment and flags to one checked configuration in base units, or to the list of
 * everything that is wrong with it. Pure: `config.ts` does the reading.
 */
import type { StoreOptions } from '../engine/options.ts';
import {
  settingKeys,
  settingOf,
  type Address,
  type SettingKey,
  type SettingValue,
  type ValueOf,
} from './settings.ts';
import { type Gathered, type Given, type Problem } from './sources.ts';
import { CLUSTER_PORT, formatAddress, parseSetting } from './values.ts';

/** What the node runs with. */
export interface NodeConfig {
  readonly directory: string;
  /** Counts are left out unless configured: a directory that is in use knows its own. */
  readonly store: Partial<StoreOptions>;
  readonly clientAddress: Address;
  readonly adminAddress: Address;
  /** Whether someone asked for this admin address: then a taken one is an error. */
  readonly adminAddressIsConfigured: boolean;
  readonly connectionsMax: number;
  readonly subscriptionTargetsMax: number;
  readonly pageBytesMax: number;
  readonly protocolDefault: 'auto' | 2 | 3;
  readonly logLevel: string;
  /** Threads of the I/O pool; to be set before its first use. */
  readonly poolThreads: number;
  /** Null: a single node, without peers. */
  readonly cluster: ClusterConfig | null;
}

/** How a node finds the others. What a directory already knows of its cluster wins over it. */
export interface ClusterConfig {
  readonly index: number;
  /** Nodes that form it; 0: an operator does, and says who they are. */
  readonly count: number;
  /** Copies of every event in a cluster that forms; at most {@link count}. */
  readonly factor: number;
  /** Of the time that copying segments takes while clients append. */
  readonly copyPercent: number;
  /** Where this node listens for the others. */
  readonly address: Address;
  /** Where the nodes are for each other, by index; {@link count} of them. */
  readonly peers: readonly Address[];
  /** Null: the cluster is on loopback and has none. */
  readonly secretFile: string | null;
  readonly requestTimeoutMs: number;
}

/** Nodes of a cluster that is formed by hand. */
const BY_HAND_MAX = 9;

/** One line of the printed configuration. */
export interface EffectiveSetting {
  readonly key: SettingKey;
  readonly value: SettingValue;
  /** `default`, or the name of the file, variable or flag. */
  readonly source: string;
}

export type Compiled =
  | {
      readonly ok: true;
      readonly config: NodeConfig;
      readonly effective: readonly EffectiveSetting[];
      /** Sentences for the log. */
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** `sources` in ascending precedence: what comes later wins. */
export function compileConfig(sources: readonly Gathered[]): Compiled {
  const problems = sources.flatMap((source) => source.problems);
  const chosen = new Map<SettingKey, EffectiveSetting>();
  for (const given of sources.flatMap((source) => source.given)) {
    const parsed = parseSetting(settingOf(given.key), given.raw);
    if (parsed.ok) chosen.set(given.key, { ...given, value: parsed.value });
    else problems.push(problemOf(given, parsed.reason));
  }
  const settings = new EffectiveSettings(chosen);
  // A value that could not be read would only show up again in the checks between settings.
  problems.push(...crossChecks(settings, new Set(problems.map(({ key }) => key))));
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    config: buildConfig(settings),
    effective: settings.all(),
    warnings: [...sources.flatMap((source) => source.warnings), ...settings.warnings()],
  };
}

function problemOf({ key, source }: Given, reason: string): Problem {
  return { key, source, reason };
}

/** Every setting's value, the default where none was given. */
class EffectiveSettings {
  readonly #chosen: ReadonlyMap<SettingKey, EffectiveSetting>;

  constructor(chosen: ReadonlyMap<SettingKey, EffectiveSetting>) {
    this.#chosen = chosen;
  }

  get<K extends SettingKey>(key: K): ValueOf<K> {
    return this.effective(key).value as ValueOf<K>;
  }

  isGiven(key: SettingKey): boolean {
    return this.#chosen.has(key);
  }

  effective(key: SettingKey): EffectiveSetting {
    return this.#chosen.get(key) ?? { key, value: this.#default(key), source: 'default' };
  }

  all(): EffectiveSetting[] {
    return settingKeys.map((key) => this.effective(key));
  }

  warnings(): string[] {
    const keysByReason = new Map<string, SettingKey[]>();
    for (const { key } of this.#chosen.values()) {
      const noEffect = this.#noEffectOf(key);
      if (noEffect !== undefined)
        keysByReason.set(noEffect, [...(keysByReason.get(noEffect) ?? []), key]);
    }
    const ignored = [...keysByReason].map(
      ([reason, keys]) => `no effect of ${keys.join(', ')}: ${reason}`,
    );
    const factor = this.get('replication.factor');
    const count = this.get('node.count');
    if (!this.isByOperator && this.isGiven('replication.factor') && factor > count) {
      ignored.push(`replication.factor ${factor} is capped at the node count, ${count}`);
    }
    return ignored;
  }

  #noEffectOf(key: SettingKey): string | undefined {
    const { noEffect, needsPeers = false, byHand = false } = settingOf(key);
    if (noEffect !== undefined) return noEffect;
    if (needsPeers && !this.isMember) return 'a single node has no peers';
    return byHand && this.isByOperator ? 'the operator’s assignment says it' : undefined;
  }

  get isByOperator(): boolean {
    return this.get('cluster.forming') === 'operator';
  }

  /** Whether others are to be listened for. */
  get isMember(): boolean {
    return this.isByOperator || this.get('node.count') > 1;
  }

  /** Cluster addresses by index. */
  peers(): readonly Address[] {
    if (this.isByOperator) return [];
    const given = this.get('network.peers');
    if (given.length > 0) return given;
    return Array.from({ length: this.get('node.count') }, (_, index) => onLoopback(index));
  }

  #default(key: SettingKey): SettingValue {
    switch (key) {
      case 'network.admin_address': {
        const address = defaultOf(key);
        return { ...address, port: address.port + this.get('node.index') };
      }
      case 'network.cluster_address':
        return this.peers()[this.get('node.index')] ?? onLoopback(this.get('node.index'));
      case 'append.max_bytes':
        return Math.min(defaultOf(key), this.frameBytesMax());
      case 'replication.factor':
        return Math.min(defaultOf(key), this.get('node.count'));
      default:
        return defaultOf(key);
    }
  }

  /** The largest frame for which journal and segments have room. */
  frameBytesMax(): number {
    return Math.min(Math.floor(this.get('journal.file_bytes') / 4), this.get('segment.size_bytes'));
  }
}

const onLoopback = (index: number): Address => ({ host: '127.0.0.1', port: CLUSTER_PORT + index });

function defaultOf<K extends SettingKey>(key: K): ValueOf<K> {
  const setting = settingOf(key);
  if (setting.kind === 'list' || setting.kind === 'peers') return [] as unknown as ValueOf<K>;
  if (setting.kind === 'text') return setting.default as ValueOf<K>;
  const parsed = parseSetting(setting, setting.default);
  if (!parsed.ok) throw new Error(`default of ${key} ${parsed.reason}`);
  return parsed.value as ValueOf<K>;
}

/** Rules between settings. A rule is silent when one of its settings already has a problem. */
function crossChecks(
  settings: EffectiveSettings,
  broken: ReadonlySet<string | null>,
): readonly Problem[] {
  const problems: Problem[] = [];
  const check = (holds: boolean, key: SettingKey, others: SettingKey[], reason: string): void => {
    if (holds || [key, ...others].some((each) => broken.has(each))) return;
    problems.push({ key, source: settings.effective(key).source, reason });
  };
  if (!settings.isByOperator) checkPlace(settings, check);
  checkCounts(settings, check);
  checkSizes(settings, check);
  checkAddresses(settings, check);
  if (settings.isMember && !settings.isByOperator) checkPeers(settings, check);
  if (settings.isMember) checkClusterAddress(settings, check);
  return problems;
}

type Check = (holds: boolean, key: SettingKey, others: SettingKey[], reason: string) => void;

function checkPlace(settings: EffectiveSettings, check: Check): void {
  const [index, count] = [settings.get('node.index'), settings.get('node.count')];
  check(
    count <= BY_HAND_MAX,
    'node.count',
    [],
    `must be at most ${BY_HAND_MAX} for a cluster that is formed by hand, but is ${count}`,
  );
  check(
    index < count,
    'node.index',
    ['node.count'],
    `must be less than node.count, ${count}, but is ${index}`,
  );
}

function checkCounts(settings: EffectiveSettings, check: Check): void {
  const buckets = settings.get('bucket.count');
  const partitions = settings.get('partition.count');
  // Name the one that was changed.
  const blamed = settings.isGiven('partition.count') ? 'partition.count' : 'bucket.count';
  check(
    partitions >= buckets,
    blamed,
    ['partition.count', 'bucket.count'],
    `partition.count, ${partitions}, must be at least bucket.count, ${buckets}`,
  );
}

function checkSizes(settings: EffectiveSettings, check: Check): void {
  const append = settings.get('append.max_bytes');
  const journal = settings.get('journal.file_bytes');
  const segment = settings.get('segment.size_bytes');
  const inFlight = settings.get('append.in_flight_bytes_max');
  check(
    append <= journal / 4,
    'append.max_bytes',
    ['journal.file_bytes'],
    `must be at most a quarter of journal.file_bytes, ${journal}, but is ${append}`,
  );
  check(
    append <= segment,
    'append.max_bytes',
    ['segment.size_bytes'],
    `must be at most segment.size_bytes, ${segment}, but is ${append}`,
  );
  check(
    inFlight >= append,
    'append.in_flight_bytes_max',
    ['append.max_bytes'],
    `must be at least append.max_bytes, ${append}, but is ${inFlight}`,
  );
}

function checkAddresses(settings: EffectiveSettings, check: Check): void {
  const client = settings.get('network.client_address');
  const admin = settings.get('network.admin_address');
  // A taken default only costs the metrics and is a warning at start.
  const clash = client.port !== 0 && client.port === admin.port && client.host === admin.host;
  check(
    !clash || !settings.isGiven('network.admin_address'),
    'network.admin_address',
    ['network.client_address'],
    `is also network.client_address, ${formatAddress(client)}`,
  );
}

function checkPeers(settings: EffectiveSettings, check: Check): void {
  const count = settings.get('node.count');
  const peers = settings.get('network.peers');
  check(
    peers.length === count || !settings.isGiven('network.peers'),
    'network.peers',
    ['node.count'],
    `must name all ${count} nodes of node.count, but names ${peers.length}`,
  );
  check(
    new Set(peers.map(formatAddress)).size === peers.length,
    'network.peers',
    [],
    'names an address twice',
  );
}

function checkClusterAddress(settings: EffectiveSettings, check: Check): void {
  const what = settings.isByOperator ? '' : ` of ${settings.get('node.count')} nodes`;
  check(
    settings.get('network.cluster_enabled'),
    'network.cluster_enabled',
    ['node.count', 'cluster.forming'],
    `must be true for a cluster${what}`,
  );
  const address = settings.get('network.cluster_address');
  check(
    isLoopback(address.host) || settings.isGiven('network.cluster_secret_file'),
    'network.cluster_address',
    ['network.cluster_secret_file', 'network.peers', 'node.index', 'node.count', 'cluster.forming'],
    `${formatAddress(address)} can be reached from other machines and needs a secret: network.cluster_secret_file`,
  );
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

function clusterConfig(settings: EffectiveSettings): ClusterConfig | null {
  const get = settings.get.bind(settings);
  if (!settings.isMember) return null;
  const count = settings.isByOperator ? 0 : get('node.count');
  const secretFile = get('network.cluster_secret_file');
  return {
    index: get('node.index'),
    count,
    factor: Math.min(get('replication.factor'), count),
    copyPercent: get('replication.copy_percent'),
    address: get('network.cluster_address'),
    peers: settings.peers(),
    secretFile: secretFile === '' ? null : secretFile,
    requestTimeoutMs: get('network.request_timeout_ms'),
  };
}

function buildConfig(settings: EffectiveSettings): NodeConfig {
  const get = settings.get.bind(settings);
  return {
    directory: get('dir'),
    store: storeOptions(settings),
    clientAddress: get('network.client_address'),
    adminAddress: get('network.admin_address'),
    adminAddressIsConfigured: settings.isGiven('network.admin_address'),
    connectionsMax: get('network.max_connections'),
    subscriptionTargetsMax: get('subscriptions.max_targets'),
    pageBytesMax: get('scan.page_bytes_max'),
    protocolDefault: protocolDefault(get('protocol.default')),
    logLevel: get('log.level'),
    poolThreads: get('threads.read') + get('threads.write'),
    cluster: clusterConfig(settings),
  };
}

function protocolDefault(choice: string): NodeConfig['protocolDefault'] {
  if (choice === '2') return 2;
  return choice === '3' ? 3 : 'auto';
}

function storeOptions(settings: EffectiveSettings): Partial<StoreOptions> {
  const get = settings.get.bind(settings);
  return {
    ...(settings.isGiven('bucket.count') ? { bucketCount: get('bucket.count') } : {}),
    ...(settings.isGiven('partition.count') ? { partitionCount: get('partition.count') } : {}),
    segmentBytes: get('segment.size_bytes'),
    journalFileBytes: get('journal.file_bytes'),
    journalFilesMax: get('journal.files_max'),
    appendMaxBytes: get('append.max_bytes'),
    strictVersioning: get('append.strict_versioning'),
    inFlightBytesMax: get('append.in_flight_bytes_max'),
    cacheBytes: get('cache.capacity_bytes'),
    headsMax: get('cache.heads'),
    filterBytes: get('cache.filter_bytes'),
    diskReserveBytes: get('disk.reserve_bytes'),
    scrubBytesPerSecond: get('scrub.bytes_per_second'),
  };
}
