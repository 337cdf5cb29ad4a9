/**
 * What one connection has said about itself, and which protocol version it is answered in (wire protocol 1.2 and 8,
 * point 9).
 */
import type { Subscription } from '../subscriptions/types.ts';
import type { ProtocolVersion } from './replies.ts';

/** `protocol.default`: how a connection is answered that has sent no HELLO. */
export type ProtocolDefault = 'auto' | 2 | 3;

/** The Rust client sends no HELLO and understands RESP3 only; every other library that names itself wants RESP2. */
const RUST_CLIENT = 'redis-rs';

/** What a connection's pushes look like. */
export interface PushStyle {
  /** Where the push `subscribe` stands: behind the reply of ESUB or EPSUB, before it, or nowhere. */
  readonly subscribe: 'after' | 'before' | 'none';
  /** The kind of an event's push. */
  readonly event: 'message' | 'event';
}

/**
 * By the beginning of LIB-NAME, because clients disagree about the push `subscribe` (wire protocol 4.2): the Rust client
 * wants it behind the reply, node-redis fails on it unless a command is in flight, and ioredis takes it for a reply.
 * go-redis takes every push of a pub/sub kind for the reply to the command at hand, an append's included; any other kind
 * it gives to the handler that is registered for it.
 */
const pushStyles: readonly (readonly [libraryName: string, style: PushStyle])[] = [
  ['node-redis', { subscribe: 'before', event: 'message' }],
  ['ioredis', { subscribe: 'none', event: 'message' }],
  ['go-redis', { subscribe: 'none', event: 'event' }],
];
const usualPushStyle: PushStyle = { subscribe: 'after', event: 'message' };

/** The connection's subscriptions, as commands see them. */
export interface SubscriptionList {
  /** Ids are UUIDs as text in lower case. */
  find(id: string): Subscription | undefined;
  /** Ends one; false if there is none with this id. */
  close(id: string): boolean;
  closeAll(): void;
}

export class Connection {
  /** Number of the connection since the start, from 1. */
  readonly id: number;
  /** Empty while the connection speaks RESP2. */
  readonly subscriptions: SubscriptionList;
  readonly #protocolDefault: ProtocolDefault;
  #hello = false;
  #libraryName = '';
  #version: ProtocolVersion = 3;

  /** Set by SETNAME; empty if none. */
  name = '';
  /** READONLY was sent: reads may be answered from this node's own committed copy. */
  readOnly = false;
  /** The connection ends when everything up to here is answered. */
  closing = false;

  constructor(id: number, protocolDefault: ProtocolDefault, subscriptions: SubscriptionList) {
    this.id = id;
    this.#protocolDefault = protocolDefault;
    this.subscriptions = subscriptions;
    this.#version = this.#select();
  }

  get version(): ProtocolVersion {
    return this.#version;
  }

  get libraryName(): string {
    return this.#libraryName;
  }

  get pushStyle(): PushStyle {
    const name = this.#libraryName.toLowerCase();
    const found = pushStyles.find(([beginning]) => name.startsWith(beginning));
    return found?.[1] ?? usualPushStyle;
  }

  /** HELLO 3 was accepted: RESP3 until RESET. */
  hello(): void {
    this.#hello = true;
    this.#version = this.#select();
  }

  /** CLIENT SETINFO LIB-NAME. The last one counts; an empty one takes it back. */
  setLibraryName(name: string): void {
    this.#libraryName = name;
    this.#version = this.#select();
    // A client of RESP2 has no use for pushes.
    if (this.#version === 2) this.subscriptions.closeAll();
  }

  /** Back to the state of a new connection, without subscriptions. */
  reset(): void {
    this.subscriptions.closeAll();
    this.#hello = false;
    this.#libraryName = '';
    this.name = '';
    this.readOnly = false;
    this.#version = this.#select();
  }

  #select(): ProtocolVersion {
    if (this.#hello || this.#protocolDefault === 3) return 3;
    if (this.#libraryName.toLowerCase().startsWith(RUST_CLIENT)) return 3;
    if (this.#protocolDefault === 2) return 2;
    return this.#libraryName === '' ? 3 : 2;
  }
}
