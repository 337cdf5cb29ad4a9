/**
 * Runs the operations of the simulated disk in an order drawn by seed, counts those that change something, and ends the
 * process at the one chosen.
 *
 * Invariants:
 * - Each operation takes effect at one moment, between its call and its answer, and only while the process lives.
 * - Operations under way together run in any order, on one file too: the thread pool of a real process promises no more.
 * - Once dead, nothing runs and no promise ever resolves.
 */
import { type Random, seededRandom } from '../../../../common/random.ts';
import {
  type DiskFault,
  type FailureEffect,
  type OperationKind,
  injectedError,
} from './disk-fault.ts';

export interface Operation {
  readonly kind: OperationKind;
  readonly path: string;
}

/** What an operation does to the state of the disk. */
export interface Effect<T> {
  /** Whether it changes the disk, and so counts; asked just before it runs. Default: it does not. */
  readonly changes?: () => boolean;
  readonly apply: () => T;
  /** The process dies in the middle of it. Where missing, it is done or not. */
  readonly applyPartly?: (random: Random) => void;
  /** It fails by an injected fault; leaves what the fault says. */
  readonly fail?: (writtenBytes: number, marksClean: boolean) => void;
}

interface Pending extends Operation {
  readonly effect: Effect<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  /** Set while a fault holds it; null once it may run. */
  heldBy: DiskFault | null;
  /** How many other operations are to run before this one; a turn with nothing to run counts as one. */
  delay: number;
  examined: boolean;
}

export class OperationQueue {
  /** Resolves with the operation at which the process died, null where it died between two. */
  readonly crashed: Promise<Operation | null>;
  readonly #announceCrash: (operation: Operation | null) => void;
  readonly #order: Random;
  readonly #fate: Random;
  readonly #schedule: (run: () => void) => void;
  readonly #faults: DiskFault[] = [];
  readonly #history: Operation[] = [];
  #waiting: Pending[] = [];
  #scheduled = false;
  #dead = false;
  #crashAt = Infinity;

  constructor(seed: number, schedule: (run: () => void) => void) {
    this.#order = seededRandom(seed);
    this.#fate = seededRandom(seed ^ 0x5bd1e995);
    this.#schedule = schedule;
    const { promise, resolve } = Promise.withResolvers<Operation | null>();
    this.crashed = promise;
    this.#announceCrash = resolve;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** The operations that changed something, in the order in which they took effect. */
  get history(): readonly Operation[] {
    return this.#history;
  }

  submit<T>(kind: OperationKind, path: string, effect: Effect<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#dead) return;
      this.#waiting.push({
        kind,
        path,
        effect,
        resolve: resolve,
        reject,
        heldBy: null,
        delay: 0,
        examined: false,
      });
      this.#wake();
    });
  }

  addFault(fault: DiskFault): void {
    this.#faults.push(fault);
  }

  /** Lets the operations go on that `fault` holds. */
  release(fault: DiskFault): void {
    for (const pending of this.#waiting) if (pending.heldBy === fault) pending.heldBy = null;
    this.#wake();
  }

  /** The process dies at the `count`-th changing operation from now; 1 is the next. */
  crashAfter(count: number): void {
    this.#crashAt = this.#history.length + count;
  }

  /** The process dies now: operations under way are done, or done in part, or not. */
  crash(): void {
    if (!this.#dead) this.#die(null);
  }

  #wake(): void {
    if (this.#scheduled || this.#dead || this.#waiting.length === 0) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      this.#runSome();
      if (this.#waiting.some((pending) => pending.heldBy === null)) this.#wake();
    });
  }

  /** Runs a drawn number of operations, in drawn order, so that those called later may overtake the rest. */
  #runSome(): void {
    let count = 1 + this.#order.below(this.#waiting.length);
    while (count > 0 && !this.#dead) {
      const pending = this.#drawNext();
      if (pending === null) {
        this.#shortenDelays();
        return;
      }
      if (this.#meetsFault(pending)) continue;
      this.#waiting.splice(this.#waiting.indexOf(pending), 1);
      this.#shortenDelays();
      this.#run(pending);
      count -= 1;
    }
  }

  #drawNext(): Pending | null {
    const ready = this.#waiting.filter(({ heldBy, delay }) => heldBy === null && delay === 0);
    return ready[this.#order.below(Math.max(1, ready.length))] ?? null;
  }

  #shortenDelays(): void {
    for (const pending of this.#waiting) if (pending.delay > 0) pending.delay -= 1;
  }

  /** True where a fault holds the operation back, for now. */
  #meetsFault(pending: Pending): boolean {
    if (pending.examined) return false;
    pending.examined = true;
    const fault = this.#faults.find((candidate) => candidate.meets(pending.kind, pending.path));
    if (fault === undefined) return false;
    if (fault.effect.name === 'hang') pending.heldBy = fault;
    else if (fault.effect.name === 'delay') pending.delay = fault.effect.operations;
    else {
      this.#waiting.splice(this.#waiting.indexOf(pending), 1);
      this.#fail(pending, fault.effect);
    }
    return true;
  }

  #fail({ kind, path, effect, reject }: Pending, failure: FailureEffect): void {
    try {
      effect.fail?.(failure.writtenBytes, failure.marksClean);
      reject(injectedError(failure.code, kind, path));
    } catch (error) {
      reject(error);
    }
  }

  #run(pending: Pending): void {
    const { kind, path, effect } = pending;
    if (effect.changes?.() === true) {
      this.#history.push({ kind, path });
      if (this.#history.length >= this.#crashAt) {
        this.#waiting.push(pending);
        this.#die({ kind, path });
        return;
      }
    }
    try {
      pending.resolve(effect.apply() as never);
    } catch (error) {
      pending.reject(error);
    }
  }

  #die(at: Operation | null): void {
    this.#dead = true;
    const underWay = this.#waiting.splice(0);
    for (const pending of underWay) this.#abandon(pending.effect);
    this.#announceCrash(at);
  }

  #abandon(effect: Effect<unknown>): void {
    const draw = this.#fate.below(4);
    try {
      if (draw === 0 || (draw === 1 && effect.applyPartly === undefined)) effect.apply();
      else if (draw > 1) effect.applyPartly?.(this.#fate);
    } catch {
      // Nobody is left to be told.
    }
  }
}
