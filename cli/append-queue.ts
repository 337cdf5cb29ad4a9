/**
 * Appends under way, and their results in the order in which they were asked for.
 *
 * Invariants. Results are told in order, each as soon as it and all before it are there. At most {@link EVENTS_MAX} appends wait, and
 * at most {@link BYTES_MAX} bytes besides one append, so that the client never has to refuse one.
 */
import type { AppendResult } from '../client/index.ts';

const EVENTS_MAX = 256;
const BYTES_MAX = 8 * 1024 * 1024;

export interface AppendResults {
  appended(result: AppendResult): Promise<void>;
  failed(error: unknown, lineNumber: number): void;
}

export class AppendQueue {
  readonly #results: AppendResults;
  #told: Promise<void> = Promise.resolve();
  #waiting = 0;
  #bytes = 0;
  #onRoom: (() => void) | null = null;

  constructor(results: AppendResults) {
    this.#results = results;
  }

  /** `append` is called at once, when there is room. */
  async add(append: () => Promise<AppendResult>, lineNumber: number, bytes: number): Promise<void> {
    while (this.#waiting >= EVENTS_MAX || (this.#waiting > 0 && this.#bytes + bytes > BYTES_MAX)) {
      await new Promise<void>((resolve) => (this.#onRoom = resolve));
    }
    this.#waiting += 1;
    this.#bytes += bytes;
    const result = append();
    // It is looked at in its turn.
    result.catch(() => undefined);
    this.#told = this.#told.then(async () => {
      await this.#tell(result, lineNumber);
      this.#waiting -= 1;
      this.#bytes -= bytes;
      this.#onRoom?.();
    });
  }

  /** Resolves when all results are told. */
  settled(): Promise<void> {
    return this.#told;
  }

  async #tell(result: Promise<AppendResult>, lineNumber: number): Promise<void> {
    let appended: AppendResult;
    try {
      appended = await result;
    } catch (error) {
      this.#results.failed(error, lineNumber);
      return;
    }
    await this.#results.appended(appended);
  }
}
