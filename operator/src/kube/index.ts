/**
 * The only door to the API server: raw JSON over HTTP, watches that go on whatever happens, a queue of what to look at, and who of
 * several operators may write.
 *
 *     const connection = await loadConnection();
 *     // The election has connections of its own, so that a server that answers slowly does not cost us the lease.
 *     const election = new LeaderElection(new KubeClient(connection), { namespace, name: 'sierradb-operator', identity });
 *     const api = new KubeClient(connection, { mayWrite: () => election.assertLeader() });
 *     const queue = new WorkQueue(async (key) => reconcile(api, key));
 *     const clusters = new Reflector<SierraCluster>(api, {
 *       type: sierraClusters,
 *       changed: ({ metadata }) => queue.add(`${metadata.namespace}/${metadata.name}`),
 *     });
 *     const watching = clusters.run(signal);
 *     await clusters.synced;
 *     await election.run(signal, { onLeading: () => queue.start(), onStopping: () => queue.stop() });
 *
 * Invariants
 * - What is read is kept as it is but for `managedFields`; nothing here knows a type of object beyond its metadata.
 * - A write is sent at most once. Whether one that fails with code 0 took effect is for its writer to find out.
 */
export { loadConnection, type ConnectionSource, type KubeConnection } from './connection.ts';
export {
  FIELD_MANAGER,
  KubeClient,
  type KubeClientOptions,
  type Listed,
  type WatchEvent,
  type WatchOptions,
} from './client.ts';
export { EventRecorder, type EventRecorderOptions, type RecordedEvent } from './event-recorder.ts';
export {
  LeaderElection,
  LeaseLostError,
  type ElectionCallbacks,
  type LeaderElectionOptions,
} from './leader-election.ts';
export type { KubeLog } from './log.ts';
export { microTime } from './micro-time.ts';
export { apiVersionOf } from './paths.ts';
export { Reflector, type ReflectorOptions, type ReflectorStatistics } from './reflector.ts';
export * from './resources.ts';
export { systemTimers, type Timers } from './timers.ts';
export * from './types.ts';
export { WorkQueue, type WorkQueueOptions } from './work-queue.ts';
