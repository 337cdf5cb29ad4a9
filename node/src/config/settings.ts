/**
 * Every setting of the node, once. Flags, environment names, the table in README.md, the help text and the checks are all
 * derived from here; `tools/tidy.test.ts` fails when a document names others.
 */

export type Kind =
  | 'bytes'
  | 'count'
  | 'milliseconds'
  | 'boolean'
  | 'text'
  | 'address'
  | 'clusterAddress'
  | 'choice'
  | 'list'
  | 'peers';

export interface Setting {
  readonly kind: Kind;
  /** In the form in which a person would write it; `''` is unset. */
  readonly default: string;
  /** What it does, as one sentence for the tables. */
  readonly doc: string;
  /** A flag of its own, without dashes; every key can also be given as `--set key=value`. */
  readonly flag?: string;
  /** The one-letter form of the flag. */
  readonly short?: string;
  /** Further environment names, beside `SIERRADB_<SECTION>_<KEY>`. */
  readonly alsoEnvironment?: readonly string[];
  /** Smallest and largest value of a number, inclusive, in the form of `default`. */
  readonly min?: string;
  readonly max?: string;
  readonly choices?: readonly string[];
  /** Accepted so that configurations of SierraDB 0.3 load; why it changes nothing. Said once in the log. */
  readonly noEffect?: string;
  /** It changes nothing on a node without peers; that is said once in the log. */
  readonly needsPeers?: true;
  /** It changes nothing where an operator decides that; said once in the log, too. */
  readonly byHand?: true;
}

export const settings = {
  dir: {
    kind: 'text',
    default: './data',
    flag: 'dir',
    short: 'd',
    alsoEnvironment: ['SIERRA_DIR'],
    doc: 'The data directory; created when missing.',
  },
  'append.max_bytes': {
    kind: 'bytes',
    default: '16MiB',
    min: '4KiB',
    max: '256MiB',
    doc: 'Largest transaction. At most a quarter of a journal file, and a segment; the default shrinks with them.',
  },
  'append.strict_versioning': {
    kind: 'boolean',
    default: 'false',
    doc: 'Refuse the expected versions `any` and `exists`.',
  },
  'append.in_flight_bytes_max': {
    kind: 'bytes',
    default: '256MiB',
    min: '64KiB',
    max: '16GiB',
    doc: 'Appends accepted and not yet durable; beyond it they are refused with `BUFFERFULL`. In a cluster, so they are while more than a share of `journal.file_bytes` waits for majorities: three quarters by the number of members, a quarter at most.',
  },
  'bucket.count': {
    kind: 'count',
    default: '4',
    min: '1',
    max: '256',
    doc: 'Units of storage. Fixed when the directory is first used.',
  },
  'bucket.ids': {
    kind: 'list',
    default: '',
    doc: 'The buckets of this node.',
    noEffect: 'a single node holds every bucket, and a cluster assigns them',
  },
  'cache.capacity_bytes': {
    kind: 'bytes',
    default: '256MiB',
    min: '1MiB',
    max: '1TiB',
    doc: 'Memory for blocks of 64 KiB read from disk.',
  },
  'cache.filter_bytes': {
    kind: 'bytes',
    default: '128MiB',
    min: '0',
    max: '1TiB',
    doc: 'Memory for the bloom filters of sealed segments; beyond it they are read in place.',
  },
  'cache.heads': {
    kind: 'count',
    default: '131072',
    min: '1024',
    max: '100000000',
    doc: 'Streams whose latest version stays in memory.',
  },
  'cluster.forming': {
    kind: 'choice',
    default: 'nodes',
    choices: ['nodes', 'operator'],
    doc: 'Who makes nodes with fresh disks a cluster: the nodes themselves, by hand, or an operator, for whose assignment they wait.',
  },
  'disk.reserve_bytes': {
    kind: 'bytes',
    default: '64MiB',
    min: '0',
    max: '1TiB',
    doc: 'Free space below which appends are refused with `DISKFULL`; reads go on.',
  },
  'heartbeat.interval_ms': {
    kind: 'milliseconds',
    default: '1000',
    doc: 'Interval of the heartbeats between nodes.',
    noEffect: 'nodes have a pace of their own: a leader that is silent for a second is replaced',
  },
  'heartbeat.timeout_ms': {
    kind: 'milliseconds',
    default: '6000',
    doc: 'Silence after which a peer counts as gone.',
    noEffect: 'nodes have a pace of their own: a leader that is silent for a second is replaced',
  },
  'journal.file_bytes': {
    kind: 'bytes',
    default: '64MiB',
    min: '1MiB',
    max: '1GiB',
    doc: 'Size of one file of the journal’s ring; holds for new files.',
  },
  'journal.files_max': {
    kind: 'count',
    default: '4',
    min: '3',
    max: '64',
    doc: 'Files to which the ring may grow when the disk lags; it starts with two.',
  },
  'log.level': {
    kind: 'choice',
    default: 'info',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    flag: 'log',
    short: 'l',
    doc: 'How much is logged: JSON lines on standard output.',
  },
  'network.admin_address': {
    kind: 'address',
    default: '127.0.0.1:9290',
    flag: 'admin-address',
    doc: 'Where health and metrics are served; the default’s port grows by the node index. Taken: a warning for the default, an error when configured.',
  },
  'network.client_address': {
    kind: 'address',
    default: '0.0.0.0:9090',
    flag: 'client-address',
    alsoEnvironment: ['SIERRADB_CLIENT_ADDRESS'],
    doc: 'Where Redis clients connect.',
  },
  'network.cluster_address': {
    kind: 'clusterAddress',
    default: '127.0.0.1:9190',
    flag: 'cluster-address',
    doc: 'Where other nodes connect: `HOST:PORT` or `/ip4/A/tcp/P`. Opened only when there are peers; by default this node’s place in `network.peers`, else 9190 + the node index on loopback.',
    needsPeers: true,
  },
  'network.cluster_enabled': {
    kind: 'boolean',
    default: 'true',
    doc: 'Whether to listen for peers; several nodes must.',
    needsPeers: true,
  },
  'network.cluster_secret_file': {
    kind: 'text',
    default: '',
    doc: 'File with the secret that all nodes of a cluster share. Without one the cluster address must be on loopback.',
    needsPeers: true,
  },
  'network.max_connections': {
    kind: 'count',
    default: '10000',
    min: '1',
    max: '1000000',
    doc: 'Client connections; one more is told so and closed.',
  },
  'network.mdns': {
    kind: 'boolean',
    default: 'false',
    flag: 'mdns',
    doc: 'Find peers by multicast DNS.',
    noEffect: 'peers are never found by multicast',
  },
  'network.peers': {
    kind: 'peers',
    default: '',
    doc: 'Cluster addresses of all nodes, in the order of their index; by default 9190 + the index on loopback.',
    needsPeers: true,
    byHand: true,
  },
  'network.request_timeout_ms': {
    kind: 'milliseconds',
    default: '10000',
    min: '100',
    max: '600000',
    doc: 'How long a command may wait for a leader before it is refused with `TRYAGAIN`.',
    needsPeers: true,
  },
  'node.count': {
    kind: 'count',
    default: '1',
    min: '1',
    max: '64',
    flag: 'node-count',
    short: 'n',
    doc: 'Nodes of the cluster; by hand up to 9.',
    byHand: true,
  },
  'node.index': {
    kind: 'count',
    default: '0',
    min: '0',
    max: '9999',
    flag: 'node-index',
    short: 'i',
    doc: 'Which of the nodes this one is, from 0; by hand less than `node.count`.',
  },
  'partition.count': {
    kind: 'count',
    default: '32',
    min: '1',
    max: '65535',
    doc: 'Units of ordering; at least the bucket count. Fixed when the directory is first used.',
  },
  'partition.ids': {
    kind: 'list',
    default: '',
    doc: 'The partitions of this node.',
    noEffect: 'a single node holds every partition, and a cluster assigns them',
  },
  'protocol.default': {
    kind: 'choice',
    default: 'auto',
    choices: ['auto', '2', '3'],
    doc: 'RESP version of a connection that sends no HELLO; `auto` goes by the client library.',
  },
  'replication.factor': {
    kind: 'count',
    default: '3',
    min: '1',
    max: '255',
    doc: 'Copies of every event; capped at the node count.',
    byHand: true,
  },
  'replication.buffer_size': {
    kind: 'count',
    default: '1000',
    doc: 'Writes held that arrived out of order.',
    noEffect: 'a replicated log has no out-of-order writes to buffer',
  },
  'replication.buffer_timeout_ms': {
    kind: 'milliseconds',
    default: '8000',
    doc: 'How long such a write is held.',
    noEffect: 'a replicated log has no out-of-order writes to buffer',
  },
  'replication.catchup_timeout_ms': {
    kind: 'milliseconds',
    default: '2000',
    doc: 'How long to wait before missing events are asked for.',
    noEffect: 'a replicated log asks at once for what is missing',
  },
  'replication.copy_percent': {
    kind: 'count',
    default: '20',
    min: '1',
    max: '100',
    doc: 'Share of the time that a node which copies segments of others spends on that while clients append; without clients it copies at full speed, and more where it would fall behind. `100`: always.',
  },
  'scan.page_bytes_max': {
    kind: 'bytes',
    default: '8MiB',
    min: '64KiB',
    max: '512MiB',
    doc: 'A scan’s page ends at this size of reply, with `has_more`; it always holds an event when there is one.',
  },
  'scrub.bytes_per_second': {
    kind: 'bytes',
    default: '8MiB',
    min: '0',
    max: '1GiB',
    doc: 'How fast sealed segments and their indexes are read in the background to find damage; `0` switches it off.',
  },
  'segment.compression': {
    kind: 'boolean',
    default: 'false',
    doc: 'Compress events on disk.',
    noEffect: 'events are stored as they are sent',
  },
  'segment.size_bytes': {
    kind: 'bytes',
    default: '256MiB',
    min: '128KiB',
    max: '2GiB',
    doc: 'Size at which a segment is sealed; holds for new segments.',
  },
  'subscriptions.max_targets': {
    kind: 'count',
    default: '1000000',
    min: '1',
    max: '100000000',
    doc: 'Streams and partitions that all subscriptions of the node together may follow; beyond, `BUFFERFULL`.',
  },
  'sync.idle_interval_ms': {
    kind: 'milliseconds',
    default: '50',
    doc: 'Timer of the group commit when idle.',
    noEffect: 'a round is synced as soon as the disk is free; no timer delays it',
  },
  'sync.interval_ms': {
    kind: 'milliseconds',
    default: '5',
    doc: 'Timer of the group commit.',
    noEffect: 'a round is synced as soon as the disk is free; no timer delays it',
  },
  'sync.max_batch_size': {
    kind: 'count',
    default: '50',
    doc: 'Events that start a sync.',
    noEffect: 'a round is synced as soon as the disk is free; no timer delays it',
  },
  'sync.min_bytes': {
    kind: 'bytes',
    default: '4096',
    doc: 'Bytes that start a sync.',
    noEffect: 'a round is synced as soon as the disk is free; no timer delays it',
  },
  'threads.read': {
    kind: 'count',
    default: '12',
    min: '1',
    max: '512',
    doc: 'Share of reads in the I/O pool, whose size is `threads.read` + `threads.write`.',
  },
  'threads.write': {
    kind: 'count',
    default: '4',
    min: '1',
    max: '512',
    doc: 'Share of writes and syncs in the I/O pool.',
  },
} as const;

export type SettingKey = keyof typeof settings;

export const settingKeys: readonly SettingKey[] = Object.keys(settings) as SettingKey[];

/** The setting with its optional fields, whatever its literal leaves out. */
export function settingOf(key: SettingKey): Setting {
  return settings[key];
}

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(settings, key);
}

/** `network.client_address` → `SIERRADB_NETWORK_CLIENT_ADDRESS`. */
export function environmentName(key: SettingKey): string {
  return `SIERRADB_${key.replace('.', '_').toUpperCase()}`;
}

/** A host and a port; the port 0 asks the system for a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

interface KindValues {
  readonly bytes: number;
  readonly count: number;
  readonly milliseconds: number;
  readonly boolean: boolean;
  readonly text: string;
  readonly address: Address;
  readonly clusterAddress: Address;
  readonly choice: string;
  readonly list: readonly number[];
  readonly peers: readonly Address[];
}

export type ValueOf<K extends SettingKey> = KindValues[(typeof settings)[K]['kind']];
export type SettingValue = KindValues[Kind];
