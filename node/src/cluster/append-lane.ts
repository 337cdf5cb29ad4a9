/**
 * The appends of one bucket that this member cannot take at once: its leader is elsewhere, or nobody leads.
 *
 * Invariants
 * - Appends reach the leader in the order of their arrival: one request is under way at a time, and what was turned away
 *   goes back to the front, unless one behind it was taken.
 * - An append that may have been done is tried again until its time is over: its event ids, the client's or drawn here, make
 *   that harmless, however late an earlier attempt may still arrive. From then on nothing but success is believed.
 * - `TRYAGAIN` and `INSUFFICIENTREPLICAS` are answered only where nothing was proposed.
 */
import { SierraError } from '../../../common/errors.ts';
import type { AppendCallback, AppendRequest } from '../engine/types.ts';
import { type Answer, decodeAppend, encodeAppend, readAppended } from './forwarding.ts';
import { HERE, noLeader, outcomeUnknown, type Routes, wasNotDone } from './routes.ts';

interface Waiting {
  readonly bytes: Buffer;
  readonly deadline: number;
  readonly done: AppendCallback;
  /** An attempt has failed and may have been done. */
  isUnknown: boolean;
}

/** One request. */
const BATCH_COUNT_MAX = 1024;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** What waits. */
const QUEUE_COUNT_MAX = 16_384;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

export class AppendLane {
  readonly #routes: Routes;
  readonly #bucket: number;
  #queue: Waiting[] = [];
  /** Of the queue and of the request under way. */
  #bytes = 0;
  #count = 0;
  #isRunning = false;

  constructor(routes: Routes, bucket: number) {
    this.#routes = routes;
    this.#bucket = bucket;
  }

  /** Whether nothing waits: the next append may be taken at once. */
  get isIdle(): boolean {
    return !this.#isRunning;
  }

  /** Copies the request. */
  append(request: AppendRequest, done: AppendCallback): void {
    if (this.#count >= QUEUE_COUNT_MAX || this.#bytes >= QUEUE_BYTES_MAX) {
      setImmediate(
        done,
        new SierraError('BUFFERFULL', 'too many appends wait for the leader'),
        null,
      );
      return;
    }
    const bytes = encodeAppend(request, this.#routes.ids);
    const deadline = this.#routes.deadline();
    this.#queue.push({ bytes, deadline, done, isUnknown: false });
    this.#count += 1;
    this.#bytes += bytes.length;
    if (this.#isRunning) return;
    this.#isRunning = true;
    // What arrives in the same turn goes with the same request.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    for (;;) {
      this.#expire();
      if (this.#queue.length === 0) break;
      const route = this.#routes.appends(this.#bucket);
      if (route === HERE) await this.#runHere();
      else if (route === null) await this.#routes.pause(this.#bucket);
      else await this.#send(route);
    }
    this.#isRunning = false;
  }

  /** The oldest stand in front. */
  #expire(): void {
    const now = this.#routes.now();
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (first.deadline > now) return;
      this.#queue.shift();
      this.#refuse(first, this.#routes.noLeader(this.#bucket));
    }
  }

  async #runHere(): Promise<void> {
    const { store } = this.#routes;
    while (this.#queue.length > 0 && this.#routes.takesAppends(this.#bucket)) {
      const waiting = this.#queue.shift() as Waiting;
      const place = store.append(decodeAppend(waiting.bytes), (error, appended) => {
        if (appended === null) this.#refuse(waiting, error ?? outcomeUnknown());
        else this.#answer(waiting, null, appended);
      });
      if (place !== null) await place;
    }
  }

  async #send(member: string): Promise<void> {
    const batch = this.#take();
    const first = batch[0] as Waiting;
    const { requestTimeoutMs } = this.#routes;
    const withinMs = Math.max(first.deadline - this.#routes.now(), requestTimeoutMs / 4);
    const commands = batch.map(({ bytes }) => bytes);
    let back: Waiting[];
    try {
      const answers = await this.#routes.run(
        { member, bucket: this.#bucket, lane: 'appends', toLeader: true },
        commands,
        withinMs,
      );
      back = this.#settle(batch, answers);
    } catch (error) {
      if (!wasNotDone(error)) for (const waiting of batch) waiting.isUnknown = true;
      back = batch;
    }
    if (back.length === 0) return;
    this.#queue = [...back, ...this.#queue];
    await this.#routes.pause(this.#bucket);
  }

  #take(): Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes.length;
      if (count > 0 && (bytes > BATCH_BYTES_MAX || count >= BATCH_COUNT_MAX)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** Answers what is settled; returns what is to be tried again, in order. */
  #settle(batch: readonly Waiting[], answers: readonly Answer[]): Waiting[] {
    const lastSettled = answers.findLastIndex((answer) => !isOpen(answer));
    const back: Waiting[] = [];
    batch.forEach((waiting, i) => {
      const answer = answers[i] as Answer;
      if (answer.kind === 'done') {
        this.#answer(waiting, null, readAppended(answer.body));
        return;
      }
      const error = answer.kind === 'refused' ? answer.error : noLeader();
      if (!error.notDone) waiting.isUnknown = true;
      if (isOpen(answer) && i > lastSettled) back.push(waiting);
      else this.#refuse(waiting, error);
    });
    return back;
  }

  #refuse(waiting: Waiting, error: SierraError): void {
    const isSure = !waiting.isUnknown || !error.notDone;
    this.#answer(waiting, isSure ? error : outcomeUnknown(error), null);
  }

  #answer({ bytes, done }: Waiting, ...[error, appended]: Parameters<AppendCallback>): void {
    this.#count -= 1;
    this.#bytes -= bytes.length;
    done(error, appended);
  }
}

/** Whether it is still open what becomes of an append: it was turned away, or its outcome is unknown. */
const isOpen = (answer: Answer): boolean =>
  answer.kind === 'notLeader' || (answer.kind === 'refused' && !answer.error.notDone);
