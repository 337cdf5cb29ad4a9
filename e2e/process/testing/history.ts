/**
 * What clients have asked and been told, with times of one clock. A call lasts from before its first byte was sent until its
 * whole reply was read, so what happened in between happened inside of it.
 */

/** The version of a stream that holds nothing. */
export const EMPTY = -1;

export type AppendOutcome =
  | {
      readonly is: 'done';
      readonly version: number;
      readonly partition: number;
      readonly sequence: number;
    }
  /** Not done, as the code of the error promises. */
  | { readonly is: 'refused'; readonly error: string }
  /** Done or not: a code that says so, or no reply. */
  | { readonly is: 'unknown'; readonly error: string };

export interface AppendCall {
  readonly stream: string;
  readonly eventId: string;
  /** Of several events that are appended together, the same for each of them. */
  readonly transaction?: string;
  /** Version that was asked for; null: any. */
  readonly expected: number | null;
  readonly startMs: number;
  /** Infinity where no reply came. */
  readonly endMs: number;
  readonly outcome: AppendOutcome;
}

/** An answer that shows a stream's state. */
export interface ReadCall {
  readonly stream: string;
  /** Of a copy, which may be behind. */
  readonly isStale: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly version: number;
  /** Of the last events, oldest first; the last one has `version`. */
  readonly eventIds: readonly string[];
}

export interface History {
  readonly appends: readonly AppendCall[];
  readonly reads: readonly ReadCall[];
}

/** An event as a node holds it at the end. */
export interface FinalEvent {
  readonly stream: string;
  readonly version: number;
  readonly partition: number;
  readonly sequence: number;
  readonly eventId: string;
}
