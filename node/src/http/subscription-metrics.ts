import { Gauge, type Registry } from 'prom-client';
import type { SubscriptionStatistics } from '../subscriptions/types.ts';
import { addCounter } from './command-metrics.ts';

/** Subscriptions: read when someone looks. */
export class SubscriptionMetrics {
  #source: (() => SubscriptionStatistics) | null = null;

  constructor(registry: Registry) {
    const read = (): SubscriptionStatistics | null => this.#source?.() ?? null;
    new Gauge({
      name: 'sierradb_subscriptions',
      help: 'Subscriptions open now.',
      registers: [registry],
      collect() {
        this.set(read()?.open ?? 0);
      },
    });
    new Gauge({
      name: 'sierradb_subscription_targets',
      help: 'Streams and partitions that open subscriptions follow.',
      registers: [registry],
      collect() {
        this.set(read()?.targets ?? 0);
      },
    });
    new Gauge({
      name: 'sierradb_subscriptions_waiting',
      help: 'Open subscriptions with events to deliver that wait: for an EACK, for their client to read.',
      labelNames: ['reason'],
      registers: [registry],
      collect() {
        const statistics = read();
        this.set({ reason: 'acknowledgement' }, statistics?.waitingForAcknowledgement ?? 0);
        this.set({ reason: 'client' }, statistics?.waitingForSink ?? 0);
      },
    });
    const delivered = (): number => read()?.delivered ?? 0;
    const failed = (): number => read()?.failed ?? 0;
    addCounter(registry, 'sierradb_events_pushed_total', 'Events given to clients.', delivered);
    addCounter(registry, 'sierradb_subscriptions_failed_total', 'Ended by an error.', failed);
  }

  /** From here on the values are these; null: none. */
  watch(source: (() => SubscriptionStatistics) | null): void {
    this.#source = source;
  }
}
