/** What a command is to a session. The kind says how it is ordered among the others of its connection. */
import type { Router } from '../../cluster/router.ts';
import type { Appended, AppendRequest } from '../../engine/types.ts';
import type { SubscriptionRequest } from '../../subscriptions/types.ts';
import type { Connection } from '../connection.ts';
import type { ReplyWriter } from '../replies.ts';

/** What commands may know of the server they run in. */
export interface ServerFacts {
  /** The package's version. */
  readonly version: string;
  /** Port that clients connect to. */
  readonly port: number;
  /** Connections open now. */
  readonly connections: number;
  /** Milliseconds since the start. */
  readonly uptimeMs: number;
}

export interface CommandContext {
  readonly router: Router;
  readonly server: ServerFacts;
  /** Bytes at which a page of a scan ends. */
  readonly pageBytesMax: number;
}

/** Starts at once, behind earlier appends, without waiting until they are durable. Answered in order. */
export interface AppendCommand {
  readonly kind: 'append';
  readonly name: string;
  /** Throws `INVALIDARG` for a malformed command. */
  parse(args: readonly Buffer[], context: CommandContext): AppendRequest;
  answer(appended: Appended, reply: ReplyWriter): void;
}

/** Starts when all earlier appends are answered; the next command starts when it is answered. */
export interface ReadCommand {
  readonly kind: 'read';
  readonly name: string;
  /** Writes the reply to `reply`, which is otherwise empty; throws or rejects with a `SierraError`. */
  run(args: readonly Buffer[], context: CommandContext, reply: ReplyWriter): void | Promise<void>;
}

/** Concerns the connection only. Starts when all earlier appends are answered, and is answered at once. */
export interface LocalCommand {
  readonly kind: 'local';
  readonly name: string;
  run(
    args: readonly Buffer[],
    context: CommandContext,
    reply: ReplyWriter,
    connection: Connection,
  ): void;
}

/**
 * Opens a subscription. Starts when all earlier appends are answered; the next command starts when it is answered, with
 * the subscription's id. Its events are pushed from then on.
 */
export interface SubscribeCommand {
  readonly kind: 'subscribe';
  readonly name: string;
  /** Throws `INVALIDARG` for a malformed command. */
  parse(args: readonly Buffer[], context: CommandContext): SubscriptionRequest;
}

export type Command = AppendCommand | ReadCommand | LocalCommand | SubscribeCommand;
