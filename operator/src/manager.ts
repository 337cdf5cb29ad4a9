/**
 * Runs the loop: watches clusters and their pods, StatefulSets and claims, looks at a cluster whenever something of it changes and
 * from time to time, and writes only while it holds the Lease.
 *
 * Invariants
 * - A cluster is looked at by one run at a time.
 * - Watches only say which cluster to look at. What is concluded is concluded from what is read then.
 * - Who loses the Lease ends: nothing of a loop that was the leader's goes on.
 */
import { randomBytes, randomUUID } from 'node:crypto';

import type { Logger } from 'pino';

import type { OperatorConfig } from './config.ts';
import {
  EventRecorder,
  type KubeConnection,
  KubeClient,
  type KubeObject,
  LeaderElection,
  persistentVolumeClaims,
  pods,
  Reflector,
  type ResourceType,
  sierraClusters,
  statefulSets,
  WorkQueue,
} from './kube/index.ts';
import { OperatorMetrics } from './metrics.ts';
import { NodesClient } from './nodes/index.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { labels } from './resources/names.ts';
import { openOperatorServer } from './server.ts';

/** A loop that has not turned for this long is wedged: a look ends within seconds, also in failure. */
const WEDGED_MS = 300_000;

export class Manager {
  readonly #config: OperatorConfig;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  readonly #election: LeaderElection;
  readonly #queue: WorkQueue;
  readonly #reconciler: Reconciler;
  readonly #reflectors: readonly Reflector<KubeObject>[];
  readonly #metrics: OperatorMetrics;
  /** By key: when the look that is under way has begun. */
  readonly #looking = new Map<string, number>();
  readonly #clients: readonly { close(): Promise<void> }[];

  constructor(connection: KubeConnection, config: OperatorConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    const { namespace, leaseName: name, identity } = config;
    // The election has connections of its own: a server that answers slowly does not cost the Lease.
    const forElection = new KubeClient(connection);
    this.#election = new LeaderElection(forElection, { namespace, name, identity, log });
    const kube = new KubeClient(connection, { mayWrite: () => this.#election.assertLeader() });
    const nodes = new NodesClient();
    this.#clients = [forElection, kube, nodes];
    this.#metrics = new OperatorMetrics({ queueDepth: () => this.#queue.depth });
    const recorder = new EventRecorder(kube, { controller: 'sierradb.io/operator', identity, log });
    this.#reconciler = new Reconciler({
      ...{ kube, nodes, log, defaultImage: config.defaultImage },
      now: () => Date.now(),
      newId: () => randomUUID(),
      newSecret: () => randomBytes(32).toString('hex'),
      reported: ({ namespace: place = '', name: cluster }, phase) => {
        this.#metrics.phase(place, cluster, phase);
      },
      emit: (regarding, event) => recorder.emit(regarding, event),
    });
    this.#queue = new WorkQueue((key) => this.#look(key));
    this.#reflectors = this.#watches(kube);
  }

  /** Resolves when it was stopped; rejects when the Lease was lost, or nothing can be watched. */
  async run(): Promise<void> {
    const { signal } = this.#stopped;
    const { httpHost: host, httpPort: port } = this.#config;
    const health = { wedged: () => this.#wedged(), unready: () => this.#unready() };
    const server = await openOperatorServer({ host, port }, health, this.#metrics);
    const watching = this.#reflectors.map((reflector) => reflector.run(signal));
    try {
      await this.#election.run(signal, {
        onLeading: () => {
          this.#log.info({ identity: this.#config.identity }, 'leading');
          this.#metrics.leads(true);
          this.#queue.start();
        },
        // The Lease is given up when nothing is under way any more.
        onStopping: () => this.#queue.stop(),
      });
    } finally {
      this.#metrics.leads(false);
      this.#stopped.abort();
      await this.#queue.stop();
      await Promise.allSettled(watching);
      await server.close();
      await Promise.all(this.#clients.map((client) => client.close()));
    }
  }

  stop(): void {
    this.#stopped.abort();
  }

  #watches(kube: KubeClient): Reflector<KubeObject>[] {
    const { watchNamespaces } = this.#config;
    const places =
      watchNamespaces.length === 0 ? [{}] : watchNamespaces.map((namespace) => ({ namespace }));
    const watch = (
      type: ResourceType,
      labelSelector: string | null,
      nameOf: (object: KubeObject) => string | undefined,
    ): Reflector<KubeObject>[] =>
      places.map(
        (place) =>
          new Reflector(kube, {
            ...{ type, ...place, log: this.#log },
            ...(labelSelector !== null && { labelSelector }),
            changed: (object) => {
              const name = nameOf(object);
              if (name !== undefined) this.#queue.add(`${object.metadata.namespace ?? ''}/${name}`);
            },
            transform: ({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata }),
          }),
      );
    const ofCluster = ({ metadata }: KubeObject): string | undefined =>
      metadata.labels?.[labels.cluster];
    return [
      ...watch(sierraClusters, null, ({ metadata }) => metadata.name),
      ...[pods, statefulSets, persistentVolumeClaims].flatMap((type) =>
        watch(type, labels.cluster, ofCluster),
      ),
    ];
  }

  async #look(key: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const begin = performance.now();
    this.#looking.set(key, begin);
    let result: 'done' | 'failed' = 'failed';
    try {
      const againMs = await this.#reconciler.reconcile({ namespace, name });
      if (againMs !== null) this.#queue.addAfter(key, againMs);
      result = 'done';
    } catch (error) {
      this.#log.warn({ cluster: key, err: error }, 'a look has failed; it is tried again');
      throw error;
    } finally {
      this.#looking.delete(key);
      this.#metrics.reconciled(result, (performance.now() - begin) / 1000);
    }
  }

  #wedged(): string | null {
    const begun = Math.min(...this.#looking.values());
    return performance.now() - begun > WEDGED_MS ? 'a look does not end' : null;
  }

  #unready(): string | null {
    return this.#reflectors.every(({ isSynced }) => isSynced) ? null : 'nothing was listed yet';
  }
}
