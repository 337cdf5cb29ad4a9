/**
 * One connection: reads requests, runs them in order, writes the replies in order.
 *
 * Invariants
 * - Commands take effect and are answered in the order of their arrival. Only an append may start while earlier appends
 *   are unanswered; everything else waits for them (the kind of a command says which).
 * - An append that reveals its place in the order later (a promise) holds back the next command until then.
 * - What a connection may cost is bounded: one unfinished command, the chunk being worked on and what the socket has read
 *   ahead of it, `appendsInFlightMax` unanswered appends, and `outputBytesMax` plus one reply of output.
 * - Replies completed in one turn of the event loop leave with one write.
 * - Only whole replies are gathered in the output, so that the pushes of subscriptions can be written between them at any
 *   time (`connection-subscriptions.ts`). Nothing is pushed any more once the session reads no more.
 */
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';

import type { Clock } from '../../../common/clock.ts';
import { SierraError } from '../../../common/errors.ts';
import { eventsExceedAppendMax } from '../engine/rules.ts';
import type { Appended } from '../engine/types.ts';
import type { Subscription, SubscriptionOpener } from '../subscriptions/types.ts';
import type {
  AppendCommand,
  Command,
  CommandContext,
  LocalCommand,
  ReadCommand,
  SubscribeCommand,
} from './commands/command.ts';
import { findCommand } from './commands/index.ts';
import { ConnectionSubscriptions, type PushOutput } from './connection-subscriptions.ts';
import { Connection, type ProtocolDefault } from './connection.ts';
import { type Request, RequestDecoder } from './decoder.ts';
import type { EncodedEvents } from './encoded-events.ts';
import { argumentErrors, connectionErrors, subscriptionErrors } from './errors.ts';
import type { RespLimits } from './limits.ts';
import type { RespObserver } from './observer.ts';
import type { ReplyWriter } from './replies.ts';
import type { ReplyPool } from './reply-pool.ts';
import { endSocket } from './socket-end.ts';

/** What a session shares with the others of its listener. */
export interface SessionHost {
  readonly context: CommandContext;
  readonly subscriptions: SubscriptionOpener;
  readonly limits: RespLimits;
  readonly protocolDefault: ProtocolDefault;
  readonly clock: Clock;
  readonly observer: RespObserver;
  readonly pool: ReplyPool;
  /** What was pushed lately. */
  readonly events: EncodedEvents;
  /** Has `session.turn()` called once, soon, outside of the caller's stack. */
  wake(session: Session): void;
  /** The session's socket has closed. */
  closed(session: Session): void;
}

/**
 * - `open`: reads and runs commands.
 * - `finishing`: reads nothing more (end of input, shutdown); what has arrived is run and answered.
 * - `ending`: the last reply is written, the socket waits for the other side.
 * - `closed`: the socket is gone; late answers are dropped.
 */
type SessionState = 'open' | 'finishing' | 'ending' | 'closed';

/** A slot in the order of replies: an append that has started. */
interface UnansweredAppend {
  readonly command: AppendCommand;
  readonly bytes: number;
  readonly startedAt: number;
  next: UnansweredAppend | null;
  settled: boolean;
  error: SierraError | null;
  appended: Appended | null;
}

/** Output is handed to the socket in between when a turn produces more than this. */
const FLUSH_BYTES = 64 * 1024;

/**
 * A turn that has produced this much lets others have theirs before it starts another command: scans that follow each other
 * on one connection must not hold up the appends of all.
 */
const TURN_BYTES_MAX = 256 * 1024;

/** First words of HTTP requests: a web page must not be able to have its form's body run as commands. */
const HTTP_WORDS = new Set(['POST', 'HOST:']);

export class Session {
  readonly connection: Connection;
  readonly #host: SessionHost;
  readonly #socket: Socket;
  readonly #decoder: RequestDecoder;
  readonly #subscriptions: ConnectionSubscriptions;
  #state: SessionState = 'open';
  #out: ReplyWriter | null = null;

  /** Unanswered appends, oldest first. */
  #oldest: UnansweredAppend | null = null;
  #newest: UnansweredAppend | null = null;
  #unanswered = 0;
  #unansweredBytes = 0;

  /** A request that waits until all appends are answered. */
  #held: Request | null = null;
  /** A read is running, or an append's place in the order is not fixed. */
  #waiting = false;
  /** Chunks that arrived while the session could not go on. */
  #chunks: Buffer[] = [];
  #turnStartedAt = 0;
  /** Bytes handed to the socket in this turn. */
  #turnBytes = 0;
  /** Another turn has been asked for, behind those of others. */
  #yielding = false;

  constructor(socket: Socket, id: number, host: SessionHost) {
    this.#socket = socket;
    this.#host = host;
    const pushLimits = { batchBytes: FLUSH_BYTES, pushBytesMax: host.limits.pushBytesMax };
    this.#subscriptions = new ConnectionSubscriptions(this.#pushOutput(), pushLimits, host.events);
    this.connection = new Connection(id, host.protocolDefault, this.#subscriptions);
    this.#decoder = new RequestDecoder(host.limits);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.finish());
    socket.on('drain', () => this.turn());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#close());
  }

  /** Answers what can be answered, goes on with what can go on, and writes. */
  turn(): void {
    if (this.#state === 'closed') return;
    this.#turnStartedAt = this.#host.clock.monotonic();
    this.#turnBytes = 0;
    try {
      this.#answerAppends();
      this.#run();
      this.#flush();
      this.#subscriptions.resume();
      this.#endIfDone();
    } catch (error) {
      this.#fault(error);
    }
  }

  /** Reads nothing more, runs what has arrived, then ends the connection. */
  finish(): void {
    if (this.#state !== 'open') return;
    this.#state = 'finishing';
    this.#subscriptions.closeAll();
    this.#socket.pause();
    this.turn();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'ending' || this.#state === 'closed') return;
    this.#chunks.push(chunk);
    if (this.#held !== null || this.#decoder.hasInput || this.#blocked()) {
      // The wait will end with a turn, which reads on.
      this.#socket.pause();
      return;
    }
    this.turn();
  }

  /** Whether the next command must wait. */
  #blocked(): boolean {
    const { limits } = this.#host;
    return (
      this.#waiting ||
      this.#yielding ||
      this.#unanswered >= limits.appendsInFlightMax ||
      this.#unansweredBytes >= limits.appendBytesInFlightMax ||
      this.#socket.writableLength > limits.outputBytesMax
    );
  }

  #run(): void {
    while ((this.#state === 'open' || this.#state === 'finishing') && !this.#blocked()) {
      const request = this.#held ?? this.#nextRequest();
      if (request === null) {
        if (this.#state === 'open' && this.#socket.isPaused()) this.#socket.resume();
        return;
      }
      this.#held = request;
      if (this.#turnBytes >= TURN_BYTES_MAX) {
        this.#yield();
        return;
      }
      if (!this.#start(request)) return;
      this.#held = null;
      if (this.#out !== null && this.#out.length >= FLUSH_BYTES) this.#flush();
    }
  }

  #yield(): void {
    this.#yielding = true;
    setImmediate(() => {
      this.#yielding = false;
      this.turn();
    });
  }

  #nextRequest(): Request | null {
    for (;;) {
      const request = this.#decoder.next();
      if (request !== null) return request;
      const chunk = this.#chunks.shift();
      if (chunk === undefined) return null;
      this.#decoder.feed(chunk);
    }
  }

  /** Starts a request; false if it must wait for the appends before it. */
  #start(request: Request): boolean {
    const command = request.kind === 'command' ? findCommand(request.args[0] as Buffer) : undefined;
    if (command?.kind === 'append' && request.kind === 'command') {
      this.#startAppend(command, request.args, request.bytes);
      return true;
    }
    if (this.#oldest !== null) return false;
    switch (request.kind) {
      case 'command':
        if (command === undefined) this.#refuseUnknown(request.args[0] as Buffer);
        else if (command.kind === 'read') this.#startRead(command, request.args);
        else if (command.kind === 'local') this.#runLocal(command, request.args);
        else if (command.kind === 'subscribe') this.#startSubscribe(command, request.args);
        return true;
      case 'oversized': {
        const { appendMaxBytes } = this.#host.context.router.facts;
        this.#answerError(undefined, eventsExceedAppendMax(appendMaxBytes));
        return true;
      }
      case 'stray':
        this.#answerError(undefined, connectionErrors.notACommand());
        return true;
      case 'fault':
        this.#answerError(undefined, connectionErrors.protocol(request.text));
        this.#end();
        return true;
    }
  }

  #startAppend(command: AppendCommand, args: readonly Buffer[], bytes: number): void {
    const { context } = this.#host;
    const slot: UnansweredAppend = {
      command,
      bytes,
      startedAt: this.#turnStartedAt,
      next: null,
      settled: false,
      error: null,
      appended: null,
    };
    let place: Promise<void> | null = null;
    try {
      const request = command.parse(args, context);
      place = context.router.append(request, (error, appended) => {
        slot.settled = true;
        slot.error = error;
        slot.appended = appended;
        if (this.#oldest === slot) this.#host.wake(this);
      });
    } catch (error) {
      if (!(error instanceof SierraError)) throw error;
      if (this.#oldest === null) {
        this.#answerError(command, error);
        return;
      }
      slot.settled = true;
      slot.error = error;
    }
    this.#enqueue(slot);
    if (place !== null) this.#waitFor(place);
  }

  #enqueue(slot: UnansweredAppend): void {
    if (this.#newest === null) this.#oldest = slot;
    else this.#newest.next = slot;
    this.#newest = slot;
    this.#unanswered += 1;
    this.#unansweredBytes += slot.bytes;
  }

  #answerAppends(): void {
    let slot = this.#oldest;
    while (slot?.settled === true) {
      this.#answerAppend(slot);
      this.#unanswered -= 1;
      this.#unansweredBytes -= slot.bytes;
      this.#oldest = slot.next;
      // One that has grown old would keep all that came after it from being collected young.
      slot.next = null;
      slot = this.#oldest;
      if (this.#out !== null && this.#out.length >= FLUSH_BYTES) this.#flush();
    }
    if (slot === null) this.#newest = null;
  }

  #answerAppend({ command, startedAt, error, appended }: UnansweredAppend): void {
    if (error === null && appended !== null) {
      command.answer(appended, this.#output());
      this.#answered(command, null, this.#turnStartedAt - startedAt);
    } else {
      const known = error ?? new SierraError('QUORUMFAILED', 'write outcome unknown');
      this.#output().error(known.code, known.message);
      this.#answered(command, known.code, this.#turnStartedAt - startedAt);
    }
  }

  #runLocal(command: LocalCommand, args: readonly Buffer[]): void {
    try {
      command.run(args, this.#host.context, this.#output(), this.connection);
      this.#answered(command, null, 0);
    } catch (error) {
      this.#answerError(command, error);
    }
    if (this.connection.closing) this.#end();
  }

  #startRead(command: ReadCommand, args: readonly Buffer[]): void {
    const startedAt = this.#host.clock.monotonic();
    // A buffer of its own: a read that takes several turns must not hold back the replies before it, and one that fails
    // half-way leaves nothing behind.
    const reply = this.#host.pool.acquire();
    reply.version = this.connection.version;
    try {
      const pending = command.run(args, this.#readContext(), reply);
      if (pending instanceof Promise) {
        this.#waiting = true;
        void pending.then(
          () => this.#finishRead(() => this.#takeRead(command, reply, startedAt)),
          (error: unknown) =>
            this.#finishRead(() => this.#failRead(command, reply, error, startedAt)),
        );
        return;
      }
    } catch (error) {
      this.#failRead(command, reply, error, startedAt);
      return;
    }
    this.#takeRead(command, reply, startedAt);
  }

  /** After READONLY any committed copy will do. */
  #readContext(): CommandContext {
    const { context } = this.#host;
    const { router } = context;
    if (!this.connection.readOnly || router.readOnly === router) return context;
    return { ...context, router: router.readOnly };
  }

  #finishRead(answer: () => void): void {
    this.#waiting = false;
    if (this.#state === 'closed') return;
    try {
      answer();
    } catch (error) {
      this.#fault(error);
    }
    this.turn();
  }

  #takeRead(command: ReadCommand, reply: ReplyWriter, startedAt: number): void {
    if (this.#out === null) {
      this.#out = reply;
    } else {
      this.#out.append(reply);
      this.#host.pool.release(reply);
    }
    this.#answered(command, null, this.#host.clock.monotonic() - startedAt);
  }

  #failRead(command: ReadCommand, reply: ReplyWriter, error: unknown, startedAt: number): void {
    this.#host.pool.release(reply);
    this.#answerError(command, error, this.#host.clock.monotonic() - startedAt);
  }

  #startSubscribe(command: SubscribeCommand, args: readonly Buffer[]): void {
    const { context, subscriptions } = this.#host;
    let opening: Subscription | Promise<Subscription>;
    try {
      if (this.connection.version === 2) throw subscriptionErrors.needsResp3();
      opening = subscriptions.open(command.parse(args, context), this.#subscriptions);
    } catch (error) {
      this.#answerError(command, error);
      return;
    }
    if (!(opening instanceof Promise)) {
      this.#takeSubscription(command, opening);
      return;
    }
    this.#waiting = true;
    void opening.then(
      (opened) => {
        if (this.#state === 'closed') opened.close();
        this.#finishRead(() => this.#takeSubscription(command, opened));
      },
      (error: unknown) => this.#finishRead(() => this.#answerError(command, error)),
    );
  }

  #takeSubscription(command: SubscribeCommand, subscription: Subscription): void {
    this.#subscriptions.add(subscription, this.connection.pushStyle);
    this.#answered(command, null, 0);
    // Otherwise it ends with the connection, soon.
    if (this.#state === 'open') subscription.start();
  }

  #pushOutput(): PushOutput {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters below have a `this` of their own
    const session = this;
    return {
      get writer() {
        return session.#output();
      },
      flush: () => session.#flush(),
      get waitingBytes() {
        // Below its own mark the socket would not say when it has got rid of them.
        return session.#socket.writableNeedDrain ? session.#socket.writableLength : 0;
      },
    };
  }

  #waitFor(place: Promise<void>): void {
    this.#waiting = true;
    void place.then(
      () => {
        this.#waiting = false;
        this.turn();
      },
      (error: unknown) => this.#fault(error),
    );
  }

  #refuseUnknown(name: Buffer): void {
    if (!isUtf8(name)) {
      this.#answerError(undefined, connectionErrors.commandNotUtf8());
      return;
    }
    this.#answerError(undefined, argumentErrors.unknownCommand(name));
    if (name.length <= 5 && HTTP_WORDS.has(name.toString('latin1').toUpperCase())) this.#end();
  }

  /** Answers with an error of ours; what is no `SierraError` is a bug and goes on to {@link turn}. */
  #answerError(command: Command | undefined, error: unknown, durationMs = 0): void {
    if (!(error instanceof SierraError)) throw error;
    this.#output().error(error.code, error.message);
    this.#answered(command, error.code, durationMs);
  }

  #answered(command: Command | undefined, code: string | null, durationMs: number): void {
    this.#host.observer.commandAnswered(command, code, durationMs);
  }

  #output(): ReplyWriter {
    const out = this.#out ?? this.#host.pool.acquire();
    this.#out = out;
    out.version = this.connection.version;
    return out;
  }

  #flush(): void {
    const out = this.#out;
    if (out === null) return;
    this.#out = null;
    this.#turnBytes += out.length;
    if (out.length === 0) this.#host.pool.release(out);
    else this.#host.pool.send(this.#socket, out);
  }

  #endIfDone(): void {
    if (this.#state !== 'finishing' || this.#blocked()) return;
    if (this.#oldest === null && this.#held === null) this.#end();
  }

  /** Writes what there is and closes our side; the other side gets a moment to read it. */
  #end(): void {
    if (this.#state === 'ending' || this.#state === 'closed') return;
    this.#state = 'ending';
    this.#subscriptions.closeAll();
    this.#chunks = [];
    this.#flush();
    endSocket(this.#socket);
  }

  #fault(error: unknown): void {
    this.#state = 'closed';
    this.#subscriptions.closeAll();
    this.#host.observer.fault(error);
    this.#socket.destroy();
  }

  #close(): void {
    this.#state = 'closed';
    this.#subscriptions.closeAll();
    this.#chunks = [];
    this.#held = null;
    if (this.#out !== null) this.#host.pool.release(this.#out);
    this.#out = null;
    this.#host.closed(this);
  }
}
