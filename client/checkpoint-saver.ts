/**
 * Saves a subscription's position now and then.
 *
 * Invariants. What is saved is what `position` said when the save began: never an event that has not been processed. One save
 * runs at a time; what is processed meanwhile is in the next one.
 */
import { CheckpointError } from './errors.ts';
import { atLeast } from './options.ts';
import type { CheckpointOptions, SubscriptionPosition } from './types.ts';

export class CheckpointSaver {
  readonly #options: CheckpointOptions;
  readonly #position: () => SubscriptionPosition;
  readonly #onError: (error: CheckpointError) => void;
  readonly #everyEvents: number;
  readonly #everyMs: number;
  /** Events processed since the last save began. */
  #unsaved = 0;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> | null = null;
  #hasFailed = false;
  #closing: Promise<void> | null = null;

  constructor(
    options: CheckpointOptions,
    position: () => SubscriptionPosition,
    onError: (error: CheckpointError) => void,
  ) {
    this.#options = options;
    this.#position = position;
    this.#onError = onError;
    this.#everyEvents = atLeast(1, options.everyEvents ?? 1000, 'checkpoint.everyEvents');
    this.#everyMs = atLeast(0, options.everyMs ?? 1000, 'checkpoint.everyMs');
  }

  async load(): Promise<SubscriptionPosition | null> {
    const { store, name } = this.#options;
    try {
      return await store.load(name);
    } catch (error) {
      throw failure(`checkpoint ${name} cannot be loaded`, error);
    }
  }

  /** Saves where the subscription begins, before the first event, so that a start from `latest` is not lost by a crash. */
  begin(): void {
    this.#unsaved += 1;
    this.#save();
  }

  /** One more event has been processed. */
  processed(): void {
    this.#unsaved += 1;
    if (this.#closing !== null) return;
    if (this.#unsaved >= this.#everyEvents) this.#save();
    else this.#timer ??= setTimeout(() => this.#save(), this.#everyMs);
  }

  /** Saves what is left. Rejects with `CheckpointError`, unless a save has failed before and said so. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#saving;
    if (this.#unsaved > 0 && !this.#hasFailed) await this.#write();
  }

  #save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#saving !== null || this.#hasFailed) return;
    this.#saving = this.#write()
      .catch((error: unknown) => this.#onError(error as CheckpointError))
      .finally(() => {
        this.#saving = null;
        if (this.#closing !== null) return;
        if (this.#unsaved >= this.#everyEvents) this.#save();
        else if (this.#unsaved > 0) this.#timer ??= setTimeout(() => this.#save(), this.#everyMs);
      });
  }

  async #write(): Promise<void> {
    const { store, name } = this.#options;
    this.#unsaved = 0;
    try {
      await store.save(name, this.#position());
    } catch (error) {
      this.#hasFailed = true;
      throw failure(`checkpoint ${name} cannot be saved`, error);
    }
  }
}

function failure(what: string, error: unknown): CheckpointError {
  if (error instanceof CheckpointError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new CheckpointError(`${what}: ${why}`, { cause: error });
}
