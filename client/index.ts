/**
 * The client of a SierraDB server: `import { SierraClient } from 'sierradb/client'`.
 *
 * ```ts
 * await using client = await SierraClient.connect('sierradb://localhost:9090');
 * await client.append('user-123', { name: 'UserRegistered', payload: json({ name: 'Alice' }) }, { expectedVersion: 'empty' });
 * for await (const event of client.subscribe({ stream: 'user-123' })) console.log(event.version, event.name, event.json());
 * ```
 *
 * Runs on Node.js 20 or later. `examples/aggregate.ts` shows optimistic concurrency, `examples/projection.ts` a live read model.
 */
export { SierraClient } from './client.ts';
export { FileCheckpointStore, MemoryCheckpointStore } from './checkpoints.ts';
export { json } from './json.ts';
export * from './errors.ts';
export type * from './types.ts';
