/** The rows of the matrix: client libraries, in the configurations that decide what they send and how they decode. */
import type { Toolchain } from './toolchains.ts';
import {
  dotnet,
  go,
  jedis,
  lettuce,
  redisCli,
  redisPy,
  redisPyWithHiredis,
  rust,
  typescript,
} from './toolchains.ts';

export interface ClientRow {
  readonly name: string;
  readonly toolchain: Toolchain;
  /** The driver's argument behind the port. */
  readonly variant: string;
  /** How a program gets at the events, where it does. */
  readonly events?: string;
}

const ioredis = typescript('ioredis.ts');
const nodeRedis = typescript('node-redis.ts');

const ours = typescript('sierradb-client.ts');

const byReading = '`connection.read_response(push_request=True)`';
const cli = 'shown with the next reply';

export const clients: readonly ClientRow[] = [
  { name: '`sierradb/client`', toolchain: ours, variant: 'default', events: '`subscribe()`' },
  { name: 'redis-cli', toolchain: redisCli, variant: 'default', events: cli },
  { name: 'redis-cli `-3`', toolchain: redisCli, variant: 'resp3', events: cli },
  { name: 'redis-py, `protocol=3`', toolchain: redisPy, variant: '3', events: byReading },
  { name: 'redis-py, `protocol=2`', toolchain: redisPy, variant: '2' },
  {
    name: 'redis-py and hiredis, `protocol=3`',
    toolchain: redisPyWithHiredis,
    variant: '3',
    events: byReading,
  },
  { name: 'redis-py and hiredis, `protocol=2`', toolchain: redisPyWithHiredis, variant: '2' },
  { name: 'ioredis 5', toolchain: ioredis, variant: '5' },
  { name: 'ioredis 6', toolchain: ioredis, variant: '6' },
  { name: 'node-redis 4', toolchain: nodeRedis, variant: '4' },
  { name: 'node-redis 5', toolchain: nodeRedis, variant: '5' },
  { name: 'node-redis 5, `RESP: 3`', toolchain: nodeRedis, variant: '5-resp3' },
  { name: 'node-redis 6', toolchain: nodeRedis, variant: '6' },
  {
    name: 'go-redis',
    toolchain: go,
    variant: '3',
    events: '`RegisterPushNotificationHandler("event", …)`',
  },
  { name: 'go-redis, `Protocol: 2`', toolchain: go, variant: '2' },
  {
    name: 'Jedis',
    toolchain: jedis,
    variant: 'default',
    events: 'a `Connection` of its own, `getOne()`',
  },
  { name: 'Jedis, `serverDefaultProtocol()`', toolchain: jedis, variant: 'server-default' },
  { name: 'Lettuce', toolchain: lettuce, variant: 'default', events: 'a `PushListener`' },
  { name: 'StackExchange.Redis', toolchain: dotnet, variant: 'default' },
  { name: 'sierradb-client (Rust)', toolchain: rust, variant: 'default' },
  {
    name: 'sierradb-client (Rust), `?protocol=resp3`',
    toolchain: rust,
    variant: 'resp3',
    events: '`SubscriptionManager`',
  },
];
