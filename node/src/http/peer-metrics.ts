import { Counter, type Registry } from 'prom-client';

/** Messages of replica groups to one other member, since there are connections to it. */
export interface PeerCounts {
  readonly requests: number;
  readonly messages: number;
  readonly bytes: number;
  readonly failures: number;
  readonly dropped: number;
}

const counters: Readonly<Record<keyof PeerCounts, string>> = {
  requests: 'Requests with messages of replica groups that were sent to a member.',
  messages: 'Messages in these requests.',
  bytes: 'Bytes of these messages.',
  failures: 'Such requests that were not answered, or refused.',
  dropped: 'Messages given up because too many waited.',
};

/** What goes to other members: read when someone looks. A node without peers has no values. */
export class PeerMetrics {
  #source: (() => ReadonlyMap<string, PeerCounts>) | null = null;

  constructor(registry: Registry) {
    const read = (): Iterable<[string, PeerCounts]> => this.#source?.() ?? [];
    for (const [field, help] of Object.entries(counters)) {
      new Counter({
        name: `sierradb_peer_${field}_total`,
        help,
        labelNames: ['member'],
        registers: [registry],
        collect() {
          this.reset();
          for (const [member, counts] of read()) {
            this.inc({ member }, counts[field as keyof PeerCounts]);
          }
        },
      });
    }
  }

  /** By member id, from here on. */
  watch(source: () => ReadonlyMap<string, PeerCounts>): void {
    this.#source = source;
  }
}
