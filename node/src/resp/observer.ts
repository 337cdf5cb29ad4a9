import type { Command } from './commands/command.ts';

/** What is measured here; the program puts it into metrics. Called on the hot path: must be cheap and must not throw. */
export interface RespObserver {
  connectionOpened(): void;
  connectionClosed(): void;
  /** A connection above the limit was turned away. */
  connectionRefused(): void;
  /**
   * A command's reply was written. `command` is undefined for what is no known command. `code` is the error's code, or
   * null. `durationMs`: for reads, until the reply was encoded; for appends, from the turn that read the command to the
   * turn that answered it; 0 for all others.
   */
  commandAnswered(command: Command | undefined, code: string | null, durationMs: number): void;
  /** A mistake of ours; the connection it happened on was closed. */
  fault(error: unknown): void;
}

const nothing = (): void => undefined;

export const silentObserver: RespObserver = {
  connectionOpened: nothing,
  connectionClosed: nothing,
  connectionRefused: nothing,
  commandAnswered: nothing,
  fault: nothing,
};
