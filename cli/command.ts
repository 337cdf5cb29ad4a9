/** What a command of this program is, and what it works with. */
import type { Client } from '../client/index.ts';
import type { FlagTable, Line } from './line.ts';
import type { Output } from './output.ts';

export interface Command {
  readonly name: string;
  /** One line each, behind `sierradb`. */
  readonly usage: readonly string[];
  /** What it does, as text of at most 100 columns. */
  readonly text: string;
  /** Its own, besides those of all commands. */
  readonly flags: FlagTable;
  readonly examples: readonly string[];
  /** Ends itself, in order, when a signal comes; others are ended by it. */
  readonly isLive?: true;
  /** Asks members of a cluster itself: it has a default address of its own, and its session no client. */
  readonly isForMembers?: true;
  /** Reads the command line. Throws `UsageError`; nothing has been connected or read by then. */
  prepare(line: Line): Action;
}

/** Does it; resolves with the exit code. */
export type Action = (session: Session) => Promise<number>;

export interface Session {
  /** Connected when the action begins; not to be touched by commands for members. */
  readonly client: Client;
  /** Where to, without a password. */
  readonly address: string;
  readonly output: Output;
  readonly input: AsyncIterable<Uint8Array>;
  /** JSON lines instead of text. */
  readonly isJson: boolean;
  readonly terminal: Terminal;
  /** Aborts when a live command is to end; the reason is the exit code. */
  readonly signal: AbortSignal;
  /** A line on standard error that is no failure. */
  note(sentence: string): void;
  /** Tells what failed while the command goes on, and returns the exit code for it. Throws what is a mistake of ours. */
  failure(error: unknown, where: string): number;
}

/** What standard output is. */
export interface Terminal {
  readonly isTerminal: boolean;
  readonly hasColours: boolean;
}
