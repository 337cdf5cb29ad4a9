/**
 * The RESP server: accepts connections and gives each a session. The door of this folder.
 *
 * The caller opens the store, wraps it in a router, puts what runs subscriptions in front of that, starts a listener, and
 * stops it before it closes the store.
 *
 * ```ts
 * await using listener = await RespListener.start({
 *   router, subscriptions: new Subscriptions(router), version: '0.1.0', host: '0.0.0.0', port: 9090,
 *   limits: respLimits(router.facts.appendMaxBytes),
 * });
 * console.log(listener.address.port);
 * ```
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

import { assert } from '../../../common/assert.ts';
import { type Clock, systemClock } from '../../../common/clock.ts';
import type { Router } from '../cluster/router.ts';
import type { SubscriptionOpener } from '../subscriptions/types.ts';
import type { CommandContext } from './commands/command.ts';
import type { ProtocolDefault } from './connection.ts';
import { EncodedEvents } from './encoded-events.ts';
import { connectionErrors } from './errors.ts';
import type { RespLimits } from './limits.ts';
import { type RespObserver, silentObserver } from './observer.ts';
import { ReplyPool } from './reply-pool.ts';
import { Session, type SessionHost } from './session.ts';
import { endSocket } from './socket-end.ts';

export interface RespListenerOptions {
  readonly router: Router;
  readonly subscriptions: SubscriptionOpener;
  /** The package's version, told by HELLO and INFO. */
  readonly version: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly limits: RespLimits;
  /** `protocol.default`; `auto` if absent. */
  readonly protocolDefault?: ProtocolDefault;
  readonly observer?: RespObserver;
  readonly clock?: Clock;
}

/** A dead peer is noticed after this long without traffic. */
const KEEP_ALIVE_DELAY_MS = 300_000;

/** How long {@link RespListener.stop} waits for connections, milliseconds. */
const STOP_DEADLINE_MS = 5000;

const LISTEN_BACKLOG = 4096;

export class RespListener {
  readonly #server: Server;
  readonly #sessions = new Set<Session>();
  readonly #host: SessionHost;
  readonly #awake: Session[] = [];
  readonly #awakeSet = new Set<Session>();
  readonly #startedAt: number;
  #connectionCount = 0;
  #stopping: Promise<void> | null = null;
  #whenEmpty: (() => void) | null = null;

  /** Listens; rejects with the system's error if it can't. */
  static async start(options: RespListenerOptions): Promise<RespListener> {
    const listener = new RespListener(options);
    await listener.#listen(options);
    return listener;
  }

  private constructor(options: RespListenerOptions) {
    const clock = options.clock ?? systemClock;
    this.#startedAt = clock.monotonic();
    this.#host = {
      context: this.#context(options, clock),
      subscriptions: options.subscriptions,
      limits: options.limits,
      protocolDefault: options.protocolDefault ?? 'auto',
      clock,
      observer: options.observer ?? silentObserver,
      pool: new ReplyPool(),
      events: new EncodedEvents(),
      wake: (session) => this.#wake(session),
      closed: (session) => this.#closed(session),
    };
    this.#server = createServer(
      {
        noDelay: true,
        allowHalfOpen: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      },
      (socket) => this.#accept(socket),
    );
  }

  get address(): AddressInfo {
    const address = this.#server.address();
    assert(address !== null && typeof address === 'object', 'the listener listens on TCP');
    return address;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sessions.size;
  }

  /**
   * Accepts nothing more, lets every connection answer what it has received, then ends it. Connections that take longer
   * than the deadline are cut off.
   */
  stop(deadlineMs: number = STOP_DEADLINE_MS): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #context({ router, version, limits }: RespListenerOptions, clock: Clock): CommandContext {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters below have a `this` of their own
    const listener = this;
    const startedAt = this.#startedAt;
    return {
      router,
      pageBytesMax: limits.pageBytesMax,
      server: {
        version,
        get port() {
          return listener.#stopping === null ? listener.address.port : 0;
        },
        get connections() {
          return listener.connections;
        },
        get uptimeMs() {
          return clock.monotonic() - startedAt;
        },
      },
    };
  }

  #listen({ host, port }: RespListenerOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: LISTEN_BACKLOG }, () => {
        this.#server.off('error', reject);
        // Running out of file descriptors stops accepting for a moment; it is no reason to stop.
        this.#server.on('error', (error) => this.#host.observer.fault(error));
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    const { limits, observer } = this.#host;
    if (this.#sessions.size >= limits.connectionsMax || this.#stopping !== null) {
      observer.connectionRefused();
      refuse(socket);
      return;
    }
    observer.connectionOpened();
    this.#connectionCount += 1;
    this.#sessions.add(new Session(socket, this.#connectionCount, this.#host));
  }

  #closed(session: Session): void {
    if (!this.#sessions.delete(session)) return;
    this.#host.observer.connectionClosed();
    if (this.#sessions.size === 0) this.#whenEmpty?.();
  }

  /** Gathers the sessions whose appends were answered in this turn, so that each writes once. */
  #wake(session: Session): void {
    if (this.#awakeSet.has(session)) return;
    if (this.#awakeSet.size === 0) process.nextTick(() => this.#runAwake());
    this.#awakeSet.add(session);
  }

  #runAwake(): void {
    this.#awake.push(...this.#awakeSet);
    this.#awakeSet.clear();
    for (const session of this.#awake) session.turn();
    this.#awake.length = 0;
  }

  async #stop(deadlineMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    await this.#finishSessions(deadlineMs);
    await closed;
  }

  async #finishSessions(deadlineMs: number): Promise<void> {
    if (this.#sessions.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    const deadline = setTimeout(() => {
      for (const session of this.#sessions) session.destroy();
    }, deadlineMs);
    for (const session of [...this.#sessions]) session.finish();
    await empty;
    clearTimeout(deadline);
  }
}

function refuse(socket: Socket): void {
  const { code, message } = connectionErrors.tooManyClients();
  socket.on('error', () => socket.destroy());
  socket.write(`-${code} ${message}\r\n`);
  endSocket(socket);
}
