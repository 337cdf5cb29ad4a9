/**
 * Reads on their way to one member for one bucket. What arrives while enough requests are under way goes with the next one.
 * Reads have no order among themselves: a connection waits for each.
 */
import { SierraError } from '../../../common/errors.ts';
import { type Answer, encodeRead, type ReadCommand } from './forwarding.ts';
import type { Routes } from './routes.ts';

interface Waiting {
  readonly bytes: Buffer;
  /** What its answer may take, about. */
  readonly weight: number;
  readonly deadline: number;
  readonly answered: PromiseWithResolvers<Answer>;
}

const REQUESTS_MAX = 4;
const BATCH_WEIGHT_MAX = 4 * 1024 * 1024;
const SMALL_ANSWER_BYTES = 1024;
const QUEUE_COUNT_MAX = 65_536;

export class ReadChannel {
  readonly #routes: Routes;
  readonly #member: string;
  readonly #bucket: number;
  readonly #toLeader: boolean;
  #queue: Waiting[] = [];
  #requests = 0;

  constructor(routes: Routes, member: string, bucket: number, toLeader: boolean) {
    this.#routes = routes;
    this.#member = member;
    this.#bucket = bucket;
    this.#toLeader = toLeader;
  }

  /** Rejects where no answer came. */
  ask(command: ReadCommand, deadline: number): Promise<Answer> {
    if (this.#queue.length >= QUEUE_COUNT_MAX) {
      throw new SierraError('BUFFERFULL', 'too many reads wait for the leader');
    }
    const weight = 'bytesMax' in command ? command.bytesMax : SMALL_ANSWER_BYTES;
    const answered = Promise.withResolvers<Answer>();
    this.#queue.push({ bytes: encodeRead(command), weight, deadline, answered });
    this.#send();
    return answered.promise;
  }

  #send(): void {
    while (this.#requests < REQUESTS_MAX && this.#queue.length > 0) {
      this.#requests += 1;
      void this.#request(this.#take()).finally(() => {
        this.#requests -= 1;
        this.#send();
      });
    }
  }

  #take(): Waiting[] {
    let count = 0;
    let weight = 0;
    for (const waiting of this.#queue) {
      weight += waiting.weight;
      if (count > 0 && weight > BATCH_WEIGHT_MAX) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #request(batch: readonly Waiting[]): Promise<void> {
    const deadline = Math.max(...batch.map((waiting) => waiting.deadline));
    const withinMs = Math.max(1, deadline - this.#routes.now());
    const commands = batch.map(({ bytes }) => bytes);
    try {
      const answers = await this.#routes.run(
        { member: this.#member, bucket: this.#bucket, lane: 'reads', toLeader: this.#toLeader },
        commands,
        withinMs,
      );
      batch.forEach(({ answered }, i) => {
        answered.resolve(answers[i] as Answer);
      });
    } catch (error) {
      for (const { answered } of batch) answered.reject(error);
    }
  }
}
