/** Faults of the simulated disk: which operations they meet, how often, and what they do to them. */
import { systemError } from '../system-error.ts';

export type OperationKind =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'writeDurably'
  | 'sync'
  | 'truncate'
  | 'size'
  | 'readFile'
  | 'list'
  | 'sizeOf'
  | 'makeDirectory'
  | 'rename'
  | 'remove'
  | 'removeDirectory'
  | 'syncDirectory'
  | 'space'
  | 'lock';

/** Which operations a fault meets. */
export interface FaultTarget {
  readonly operation: OperationKind | readonly OperationKind[];
  /** Where given, only paths that contain this text or match this expression. A rename counts by its target. */
  readonly path?: string | RegExp;
  /** How many of them pass unharmed first. Default 0. */
  readonly skip?: number;
  /** How many of them are met after that. Default 1. */
  readonly times?: number;
}

export interface FailureOptions extends FaultTarget {
  /** `error.code`, default `EIO`. */
  readonly code?: string;
  /** A write that fails leaves this many of its bytes in the page cache. Default 0. */
  readonly writtenBytes?: number;
  /**
   * A failing sync, durable write or their pages: reads still see the bytes, but no later sync makes them durable unless
   * they are written again. This is what Linux does, and the default; false leaves them to the next sync.
   */
  readonly marksClean?: boolean;
}

export interface FailureEffect {
  readonly name: 'fail';
  readonly code: string;
  readonly writtenBytes: number;
  readonly marksClean: boolean;
}

export type FaultEffect =
  | FailureEffect
  | { readonly name: 'hang' }
  | { readonly name: 'delay'; readonly operations: number };

/** A fault that was switched on. */
export class DiskFault {
  /** Resolves when the first operation met it. */
  readonly fired: Promise<void>;
  readonly effect: FaultEffect;
  readonly #target: FaultTarget;
  readonly #release: () => void;
  readonly #announce: () => void;
  #skip: number;
  #left: number;
  #metCount = 0;

  /** `release` lets the operations go on that this fault holds. */
  constructor(target: FaultTarget, effect: FaultEffect, release: () => void) {
    this.#target = target;
    this.effect = effect;
    this.#release = release;
    this.#skip = target.skip ?? 0;
    this.#left = target.times ?? 1;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.fired = promise;
    this.#announce = () => {
      resolve(undefined);
    };
  }

  /** How many operations met it. */
  get metCount(): number {
    return this.#metCount;
  }

  /** Switches the fault off; what it holds goes on. */
  end(): void {
    this.#left = 0;
    this.#release();
  }

  /** Whether the fault takes this operation; counts it if so. */
  meets(kind: OperationKind, path: string): boolean {
    if (this.#left === 0 || !this.#matches(kind, path)) return false;
    if (this.#skip > 0) {
      this.#skip -= 1;
      return false;
    }
    this.#left -= 1;
    this.#metCount += 1;
    this.#announce();
    return true;
  }

  #matches(kind: OperationKind, path: string): boolean {
    const { operation, path: pattern } = this.#target;
    if (!(typeof operation === 'string' ? operation === kind : operation.includes(kind))) {
      return false;
    }
    if (pattern === undefined) return true;
    return typeof pattern === 'string' ? path.includes(pattern) : pattern.test(path);
  }
}

export function injectedError(code: string, kind: OperationKind, path: string): Error {
  return systemError(code, kind, path, { cause: 'injected by the simulated disk' });
}
