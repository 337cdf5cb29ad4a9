/**
 * The embedded database: `import { Database } from 'sierradb'`.
 *
 * ```ts
 * await using database = await Database.open('./data');
 * await database.append('user-123', { name: 'UserRegistered', payload: '{}' }, { expectedVersion: 'empty' });
 * for await (const event of database.readStream('user-123')) console.log(event.version, event.name);
 * ```
 *
 * One process at a time opens a directory; a node's directory is the same format. Runs on Node.js 24.12 or later.
 * `examples/embedded.mjs` shows optimistic concurrency, transactions and retries.
 */
export { Database } from './library/database.ts';
export type { AppendOptions, RangeOptions, StreamOptions } from './library/database.ts';
export type {
  AppendedEvent,
  AppendResult,
  Bytes,
  NewEvent,
  NewStreamEvent,
  StoredEvent,
} from './library/events.ts';
export type {
  StreamTarget,
  SubscribeOptions,
  Subscription,
  SubscriptionPosition,
  SubscriptionStart,
  SubscriptionTarget,
} from './library/subscription-types.ts';
export type { DatabaseOptions } from './library/options.ts';
export { isOutcomeUnknown, isSierraError, isWrongVersion } from './library/errors.ts';
export { SierraError } from '../../common/errors.ts';
export type { ErrorCode } from '../../common/errors.ts';
export { OpenError } from './engine/index.ts';
export type { ExpectedVersion } from './engine/index.ts';
