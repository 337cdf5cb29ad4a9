import { Counter, Gauge, type Registry } from 'prom-client';
import type { Command } from '../resp/commands/command.ts';
import type { RespObserver } from '../resp/observer.ts';
import { CheapHistogram, type Buckets } from './cheap-histogram.ts';
import { latencyBounds } from './bounds.ts';

/** What one command's answers add up to. Found by the command's object, so that an answer costs one map lookup. */
interface Meter {
  readonly seconds: Buckets | null;
  succeeded: number;
  /** Answers by error code. */
  readonly failed: Map<string, number>;
}

/** Commands and connections, as the RESP listener reports them. */
export class CommandMetrics implements Omit<RespObserver, 'fault'> {
  readonly #append: CheapHistogram;
  readonly #read: CheapHistogram;
  readonly #meters = new Map<Command | undefined, Meter>();
  #opened = 0;
  #closed = 0;
  #refused = 0;

  constructor(registry: Registry) {
    const common = { bounds: latencyBounds, label: 'command', registry };
    this.#append = new CheapHistogram({
      ...common,
      name: 'sierradb_append_seconds',
      help: 'Time from reading an append to its durable answer.',
    });
    this.#read = new CheapHistogram({
      ...common,
      name: 'sierradb_read_seconds',
      help: 'Time from reading a read command to its answer.',
    });
    this.#registerCommands(registry);
    this.#registerConnections(registry);
  }

  connectionOpened(): void {
    this.#opened += 1;
  }

  connectionClosed(): void {
    this.#closed += 1;
  }

  connectionRefused(): void {
    this.#refused += 1;
  }

  commandAnswered(command: Command | undefined, code: string | null, durationMs: number): void {
    const meter = this.#meters.get(command) ?? this.#addMeter(command);
    meter.seconds?.observe(durationMs / 1000);
    if (code === null) meter.succeeded += 1;
    else meter.failed.set(code, (meter.failed.get(code) ?? 0) + 1);
  }

  #addMeter(command: Command | undefined): Meter {
    const meter = { seconds: this.#secondsOf(command), succeeded: 0, failed: new Map() };
    this.#meters.set(command, meter);
    return meter;
  }

  #secondsOf(command: Command | undefined): Buckets | null {
    if (command?.kind === 'append') return this.#append.child(command.name);
    return command?.kind === 'read' ? this.#read.child(command.name) : null;
  }

  #registerCommands(registry: Registry): void {
    const meters = this.#meters;
    new Counter({
      name: 'sierradb_commands_total',
      help: 'Commands answered, by name and by error code; OK is none.',
      labelNames: ['command', 'code'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [command, { succeeded, failed }] of meters) {
          const name = command?.name ?? 'unknown';
          if (succeeded > 0) this.inc({ command: name, code: 'OK' }, succeeded);
          for (const [code, count] of failed) this.inc({ command: name, code }, count);
        }
      },
    });
  }

  #registerConnections(registry: Registry): void {
    const opened = (): number => this.#opened;
    const refused = (): number => this.#refused;
    const open = (): number => this.#opened - this.#closed;
    new Gauge({
      name: 'sierradb_connections',
      help: 'Client connections open now.',
      registers: [registry],
      collect() {
        this.set(open());
      },
    });
    addCounter(registry, 'sierradb_connections_total', 'Client connections accepted.', opened);
    addCounter(registry, 'sierradb_connections_refused_total', 'Those above the limit.', refused);
  }
}

/** A counter whose value is kept elsewhere. */
export function addCounter(
  registry: Registry,
  name: string,
  help: string,
  read: () => number,
): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}
