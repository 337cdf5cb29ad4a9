/**
 * The settings of the nodes, as far as the operator can check what a resource gives them: a wrong value is refused before it
 * stops a pod. The operator imports nothing of the node, so `tools/node-settings.test.ts` holds this against
 * `node/src/config/settings.ts`.
 */

export interface NodeSetting {
  readonly kind: 'bytes' | 'count' | 'milliseconds' | 'boolean' | 'choice';
  /** Smallest and largest value, inclusive, as a person would write them. */
  readonly min?: string;
  readonly max?: string;
  readonly choices?: readonly string[];
}

/** Those that a resource may give. */
export const nodeSettings: Readonly<Record<string, NodeSetting>> = {
  'append.max_bytes': { kind: 'bytes', min: '4KiB', max: '256MiB' },
  'append.strict_versioning': { kind: 'boolean' },
  'append.in_flight_bytes_max': { kind: 'bytes', min: '64KiB', max: '16GiB' },
  'cache.capacity_bytes': { kind: 'bytes', min: '1MiB', max: '1TiB' },
  'cache.filter_bytes': { kind: 'bytes', min: '0', max: '1TiB' },
  'cache.heads': { kind: 'count', min: '1024', max: '100000000' },
  'disk.reserve_bytes': { kind: 'bytes', min: '0', max: '1TiB' },
  'heartbeat.interval_ms': { kind: 'milliseconds' },
  'heartbeat.timeout_ms': { kind: 'milliseconds' },
  'journal.file_bytes': { kind: 'bytes', min: '1MiB', max: '1GiB' },
  'journal.files_max': { kind: 'count', min: '3', max: '64' },
  'log.level': {
    kind: 'choice',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  },
  'network.max_connections': { kind: 'count', min: '1', max: '1000000' },
  'network.mdns': { kind: 'boolean' },
  'network.request_timeout_ms': { kind: 'milliseconds', min: '100', max: '600000' },
  'protocol.default': { kind: 'choice', choices: ['auto', '2', '3'] },
  'replication.buffer_size': { kind: 'count' },
  'replication.buffer_timeout_ms': { kind: 'milliseconds' },
  'replication.catchup_timeout_ms': { kind: 'milliseconds' },
  'replication.copy_percent': { kind: 'count', min: '1', max: '100' },
  'scan.page_bytes_max': { kind: 'bytes', min: '64KiB', max: '512MiB' },
  'scrub.bytes_per_second': { kind: 'bytes', min: '0', max: '1GiB' },
  'segment.compression': { kind: 'boolean' },
  'segment.size_bytes': { kind: 'bytes', min: '128KiB', max: '2GiB' },
  'subscriptions.max_targets': { kind: 'count', min: '1', max: '100000000' },
  'sync.idle_interval_ms': { kind: 'milliseconds' },
  'sync.interval_ms': { kind: 'milliseconds' },
  'sync.max_batch_size': { kind: 'count' },
  'sync.min_bytes': { kind: 'bytes' },
  'threads.read': { kind: 'count', min: '1', max: '512' },
  'threads.write': { kind: 'count', min: '1', max: '512' },
};

/** Those that the operator makes, each with what to do instead of giving it. */
export const operatorSettings: Readonly<Record<string, string>> = {
  dir: 'the volume is always there; leave it out',
  'bucket.count': 'set buckets.count',
  'bucket.ids': 'the operator assigns buckets; leave it out',
  'cluster.forming': 'the operator forms the cluster; leave it out',
  'network.admin_address': 'it is always port 9290; leave it out',
  'network.client_address': 'it is always port 9090; leave it out',
  'network.cluster_address': 'it is always port 9190; leave it out',
  'network.cluster_enabled': 'nodes always have one another; leave it out',
  'network.cluster_secret_file': 'the operator makes the secret; leave it out',
  'network.peers': 'the operator names the peers; leave it out',
  'node.count': 'set nodes',
  'node.index': 'it is the ordinal of the pod; leave it out',
  'partition.count': 'set buckets.partitions',
  'partition.ids': 'the operator assigns partitions; leave it out',
  'replication.factor': 'set replication.factor in spec',
};

/** What is wrong with a value, in words that follow the key; null: nothing. */
export function faultOf(setting: NodeSetting, raw: string | number | boolean): string | null {
  const text = String(raw).trim();
  const { kind, choices = [] } = setting;
  if (kind === 'boolean') {
    return /^(true|false)$/i.test(text) ? null : `must be true or false, but is ${text}`;
  }
  if (kind === 'choice') {
    const isOne = choices.includes(text.toLowerCase());
    return isOne ? null : `must be one of ${choices.join(', ')}, but is ${text}`;
  }
  const number = kind === 'bytes' ? bytesOfSize(text) : wholeOf(text);
  if (number !== null) return boundFault(setting, number, text);
  const form = kind === 'bytes' ? 'a size like 256MiB' : 'a whole number';
  return `must be ${form}, but is ${text}`;
}

function boundFault({ min = '0', max }: NodeSetting, number: number, text: string): string | null {
  const isTooSmall = number < (bytesOfSize(min) ?? 0);
  const isTooLarge = max !== undefined && number > (bytesOfSize(max) ?? 0);
  if (!isTooSmall && !isTooLarge) return null;
  const bounds = max === undefined ? `at least ${min}` : `from ${min} to ${max}`;
  return `must be ${bounds}, but is ${text}`;
}

const wholeOf = (text: string): number | null =>
  /^\+?\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : null;

/** As nodes read sizes: `MB` is a million, `MiB` is 2^20. */
const sizeUnits: Readonly<Record<string, number>> = {
  ...{ '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 },
  ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 },
};

function bytesOfSize(text: string): number | null {
  const [, digits = '', unit = ''] = /^\+?(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const bytes = Number(digits) * (sizeUnits[unit.toLowerCase()] ?? NaN);
  return digits !== '' && Number.isSafeInteger(bytes) ? bytes : null;
}
