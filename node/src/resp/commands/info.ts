/**
 * INFO CACHE: statistics of the block cache as a map. INFO with any other section or none: lines of `key:value` as
 * libraries expect them from Redis. Wire protocol 1.8.
 */
import { ArgumentReader, keyword } from '../arguments.ts';
import type { ReplyWriter } from '../replies.ts';
import type { CommandContext, LocalCommand } from './command.ts';

const CACHE = keyword('CACHE');

/** The version whose behaviour libraries may assume; ioredis and node-redis read it. */
const REDIS_VERSION = '7.4.0';

function writeCache({ router }: CommandContext, reply: ReplyWriter): void {
  const cache = router.cacheStatistics();
  const lookups = cache.hits + cache.misses;
  const number = (key: string, value: number): void => {
    reply.blobText(key);
    reply.integer(value);
  };
  reply.map(8);
  number('hits', cache.hits);
  number('misses', cache.misses);
  reply.blobText('hit_ratio');
  reply.double(lookups === 0 ? 0 : Math.round((cache.hits / lookups) * 1000) / 1000);
  number('entries', cache.entries);
  number('memory_bytes', cache.memoryBytes);
  number('max_bytes', cache.maxBytes);
  number('block_size_bytes', cache.blockBytes);
  number('evictions', cache.evictions);
}

function serverLines({ router, server }: CommandContext): string {
  const { facts } = router;
  const lines: Readonly<Record<string, string | number>> = {
    redis_version: REDIS_VERSION,
    redis_mode: 'standalone',
    sierradb_version: server.version,
    process_id: process.pid,
    tcp_port: server.port,
    uptime_in_seconds: Math.floor(server.uptimeMs / 1000),
    connected_clients: server.connections,
    used_memory_rss: process.memoryUsage.rss(),
    loading: 0,
    role: 'master',
    member_id: facts.memberId,
    cluster_id: facts.clusterId,
    num_partitions: facts.partitionCount,
    num_buckets: facts.bucketCount,
  };
  return `# Server\r\n${Object.entries(lines)
    .map(([key, value]) => `${key}:${value}\r\n`)
    .join('')}`;
}

export const info: LocalCommand = {
  kind: 'local',
  name: 'INFO',
  run: (args, context, reply) => {
    const reader = new ArgumentReader(args);
    const isCache = reader.takes(CACHE);
    if (!isCache && reader.more) reader.bytes('section');
    reader.end();
    if (isCache) writeCache(context, reply);
    else reply.blobText(serverLines(context));
  },
};
