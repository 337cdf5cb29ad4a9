/** The operator's own metrics, in a registry of their own. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export class OperatorMetrics {
  readonly registry: Registry = new Registry();
  readonly #reconciles: Counter<'result'>;
  readonly #durations: Histogram;
  readonly #leader: Gauge;
  readonly #phases: Gauge<'namespace' | 'name' | 'phase'>;
  readonly #known = new Map<string, string>();

  constructor(state: { readonly queueDepth: () => number }) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#reconciles = new Counter({
      name: 'sierradb_operator_reconciles_total',
      help: 'Looks at a cluster, by how they ended: done or failed',
      labelNames: ['result'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'sierradb_operator_reconcile_seconds',
      help: 'How long one look at a cluster, with what it led to, has taken',
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    });
    this.#leader = new Gauge({
      name: 'sierradb_operator_is_leader',
      help: '1 while this operator holds the Lease',
      registers,
    });
    this.#phases = new Gauge({
      name: 'sierradb_operator_cluster_phase',
      help: '1 for the phase that a cluster is in',
      labelNames: ['namespace', 'name', 'phase'],
      registers,
    });
    const depth: Gauge = new Gauge({
      name: 'sierradb_operator_queue_depth',
      help: 'Clusters that wait to be looked at',
      registers,
      collect: () => {
        depth.set(state.queueDepth());
      },
    });
  }

  reconciled(result: 'done' | 'failed', seconds: number): void {
    this.#reconciles.inc({ result });
    this.#durations.observe(seconds);
  }

  leads(isLeader: boolean): void {
    this.#leader.set(isLeader ? 1 : 0);
  }

  /** Null: the cluster is gone. */
  phase(namespace: string, name: string, now: string | null): void {
    const key = `${namespace}/${name}`;
    const before = this.#known.get(key) ?? null;
    if (before !== null) this.#phases.remove({ namespace, name, phase: before });
    this.#known.delete(key);
    if (now === null) return;
    this.#known.set(key, now);
    this.#phases.set({ namespace, name, phase: now }, 1);
  }
}
