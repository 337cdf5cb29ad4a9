import { Counter, Gauge, type Registry } from 'prom-client';

/** Messages of replica groups to one other member, since there are connections to it. */
export interface PeerCounts {
  /** Batches. */
  readonly requests: number;
  readonly messages: number;
  readonly bytes: number;
  readonly failures: number;
  readonly dropped: number;
}

/** Streams that other members have opened. */
export interface StreamCounts {
  readonly open: number;
  /** Turned away, or closed for what came over them. */
  readonly refused: number;
}

const counters: Readonly<Record<keyof PeerCounts, string>> = {
  requests: 'Batches of messages of replica groups that were sent to a member.',
  messages: 'Messages in these batches.',
  bytes: 'Bytes of these messages.',
  failures: 'Streams for these batches that have ended, or were refused.',
  dropped: 'Messages given up because too many waited.',
};

/** What goes to other members: read when someone looks. A node without peers has no values. */
export class PeerMetrics {
  #source: (() => ReadonlyMap<string, PeerCounts>) | null = null;
  #streams: (() => StreamCounts) | null = null;

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
    this.#registerStreams(registry);
  }

  #registerStreams(registry: Registry): void {
    const read = (): StreamCounts | null => this.#streams?.() ?? null;
    const registers = [registry];
    new Gauge({
      ...{ name: 'sierradb_peer_streams', help: 'Streams of other members.', registers },
      collect() {
        const counts = read();
        if (counts === null) this.remove();
        else this.set(counts.open);
      },
    });
    new Counter({
      name: 'sierradb_peer_streams_refused_total',
      help: 'Streams of other members that were turned away, or closed for what came over them.',
      registers,
      collect() {
        const counts = read();
        this.reset();
        if (counts === null) this.remove();
        else this.inc(counts.refused);
      },
    });
  }

  /** By member id, and what others have opened, from here on. */
  watch(source: () => ReadonlyMap<string, PeerCounts>, streams: () => StreamCounts): void {
    this.#source = source;
    this.#streams = streams;
  }
}
