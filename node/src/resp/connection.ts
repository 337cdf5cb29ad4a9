/**
 * What one connection has said about itself, and which protocol version it is answered in (wire protocol 1.2 and 8,
 * point 9).
 */
import type { ProtocolVersion } from './replies.ts';

/** `protocol.default`: how a connection is answered that has sent no HELLO. */
export type ProtocolDefault = 'auto' | 2 | 3;

/** The Rust client sends no HELLO and understands RESP3 only; every other library that names itself wants RESP2. */
const RUST_CLIENT = 'redis-rs';

export class Connection {
  /** Number of the connection since the start, from 1. */
  readonly id: number;
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

  constructor(id: number, protocolDefault: ProtocolDefault) {
    this.id = id;
    this.#protocolDefault = protocolDefault;
    this.reset();
  }

  get version(): ProtocolVersion {
    return this.#version;
  }

  get libraryName(): string {
    return this.#libraryName;
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
  }

  /** Back to the state of a new connection. */
  reset(): void {
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
