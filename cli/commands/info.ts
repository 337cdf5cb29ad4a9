import type { Client } from '../../client/index.ts';
import type { Action, Command, Session } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import type { Line } from '../line.ts';
import { bytesText, printableText } from '../printable.ts';
import { UsageError } from '../usage-error.ts';

export const info: Command = {
  name: 'info',
  usage: ['info [flags]'],
  text: `Say what the node is and how it does: version, member, partitions, events, connections, memory, cache.`,
  flags: {
    partitions: { short: 'p', value: null, doc: 'How many events each partition has, as well.' },
  },
  examples: ['sierradb info', 'sierradb info --json | jq .cache.hitRatio'],
  prepare,
};

/** What `--json` prints. */
interface NodeInfo {
  readonly address: string;
  readonly server: string;
  readonly version: string;
  readonly memberId: string;
  readonly clusterId: string | null;
  readonly partitionCount: number;
  readonly bucketCount: number | null;
  readonly uptimeSeconds: number | null;
  readonly connections: number | null;
  readonly residentBytes: number | null;
  /** Of all partitions. */
  readonly events: number;
  /** By partition; the empty ones are left out. */
  readonly partitions: Readonly<Record<string, number>>;
  readonly cache: {
    readonly hits: number;
    readonly misses: number;
    readonly hitRatio: number;
    readonly memoryBytes: number;
    readonly maxBytes: number;
  };
}

function prepare(line: Line): Action {
  if (line.words.length > 0)
    throw new UsageError(`it takes flags only, not ${line.words.join(' ')}`);
  return async (session) => {
    const node = await gather(session);
    const isWhole = line.has('partitions');
    // JSON leaves out what is undefined.
    const shown = isWhole ? node : { ...node, partitions: undefined };
    if (session.isJson) await session.output.line(JSON.stringify(shown));
    else await session.output.line(table(node, isWhole));
    return exitCode.done;
  };
}

async function gather({ client, address }: Session): Promise<NodeInfo> {
  const [hello, lines, cache] = await Promise.all([
    client.hello(),
    client.info(),
    client.info('CACHE'),
  ]);
  const number = (key: string): number | null => (key in lines ? Number(lines[key]) : null);
  const partitions = await eventCounts(client, hello.partitionCount);
  return {
    address,
    server: hello.server,
    version: hello.version,
    memberId: hello.peerId,
    clusterId: lines['cluster_id'] ?? null,
    partitionCount: hello.partitionCount,
    bucketCount: number('num_buckets'),
    uptimeSeconds: number('uptime_in_seconds'),
    connections: number('connected_clients'),
    residentBytes: number('used_memory_rss'),
    events: Object.values(partitions).reduce((sum, count) => sum + count, 0),
    partitions,
    cache: {
      hits: Number(cache['hits']),
      misses: Number(cache['misses']),
      hitRatio: Number(cache['hit_ratio']),
      memoryBytes: Number(cache['memory_bytes']),
      maxBytes: Number(cache['max_bytes']),
    },
  };
}

/** Requests under way at a time. */
const BATCH = 256;

async function eventCounts(
  client: Client,
  partitionCount: number,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let first = 0; first < partitionCount; first += BATCH) {
    const batch = Array.from(
      { length: Math.min(BATCH, partitionCount - first) },
      (_, i) => first + i,
    );
    await Promise.all(
      batch.map(async (partition) => {
        const sequence = await client.partitionSequence(partition);
        if (sequence !== null) counts[partition] = sequence + 1;
      }),
    );
  }
  return counts;
}

const grouped = (value: number): string => value.toLocaleString('en-US');

function table(node: NodeInfo, isWhole: boolean): string {
  const { cache } = node;
  const used = Object.entries(node.partitions);
  const buckets = node.bucketCount === null ? '' : ` in ${node.bucketCount} buckets`;
  const rows: readonly (readonly [string, string | null])[] = [
    ['address', node.address],
    ['server', printableText(`${node.server} ${node.version}`)],
    ['member', printableText(node.memberId)],
    ['cluster', node.clusterId === null ? null : printableText(node.clusterId)],
    ['uptime', node.uptimeSeconds === null ? null : durationText(node.uptimeSeconds)],
    ['connections', node.connections === null ? null : grouped(node.connections)],
    ['partitions', `${grouped(node.partitionCount)}${buckets}`],
    ['events', `${grouped(node.events)} in ${grouped(used.length)} of them`],
    ['memory', node.residentBytes === null ? null : bytesText(node.residentBytes)],
    ['cache', `${bytesText(cache.memoryBytes)} of ${bytesText(cache.maxBytes)}, ${hitText(cache)}`],
    ...(isWhole
      ? used.map(([id, count]) => [`partition ${id}`, `${grouped(count)} events`] as const)
      : []),
  ];
  return rows
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.padEnd(15)}  ${value ?? ''}`)
    .join('\n');
}

const hitText = ({ hits, misses, hitRatio }: NodeInfo['cache']): string =>
  hits + misses === 0
    ? 'not asked yet'
    : `${(hitRatio * 100).toFixed(1)} % of ${grouped(hits + misses)} look-ups hit`;

/** The two largest units: `3 days 4 hours`. */
function durationText(seconds: number): string {
  const units = [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
    ['second', 1],
  ] as const;
  let left = seconds;
  const parts = units.map(([name, size]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return { count, text: `${count} ${name}${count === 1 ? '' : 's'}` };
  });
  const first = parts.findIndex(({ count }) => count > 0);
  if (first === -1) return '0 seconds';
  return parts
    .slice(first, first + 2)
    .filter(({ count }) => count > 0)
    .map(({ text }) => text)
    .join(' ');
}
