/**
 * Buffers for replies, shared by all connections of a listener, because an idle connection should hold none and a busy one
 * should not allocate one per batch.
 *
 * Invariant: a writer is reused only when the kernel has taken its bytes; what a socket still refers to is left to it.
 */
import type { Socket } from 'node:net';

import { ReplyWriter } from './replies.ts';

const CAPACITY_BYTES = 16 * 1024;
/** Larger buffers are not kept: a page of 8 MiB is rare. */
const KEPT_CAPACITY_BYTES_MAX = 1024 * 1024;
/** As many small ones as connections are written to in one turn, when an event goes to all of them. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

export class ReplyPool {
  readonly #free: ReplyWriter[] = [];
  #freeBytes = 0;

  /** An empty writer; give it back with {@link release} or {@link send}. */
  acquire(): ReplyWriter {
    const writer = this.#free.pop();
    if (writer === undefined) return new ReplyWriter(CAPACITY_BYTES);
    this.#freeBytes -= writer.bytes.length;
    return writer;
  }

  release(writer: ReplyWriter): void {
    const { length } = writer.bytes;
    if (length > KEPT_CAPACITY_BYTES_MAX || this.#freeBytes + length > KEPT_BYTES_MAX) return;
    writer.clear();
    this.#freeBytes += length;
    this.#free.push(writer);
  }

  /** Writes what `writer` holds to the socket and takes the writer back. */
  send(socket: Socket, writer: ReplyWriter): void {
    if (socket.writableLength > 0 && 2 * writer.length < writer.bytes.length) {
      // The socket will hold on to these bytes: give it a buffer of their size, not a half-empty one.
      socket.write(Buffer.from(writer.content()));
      this.release(writer);
      return;
    }
    if (writer.bytes.length > CAPACITY_BYTES) {
      // Worth waiting for: growing a new one to this size costs more.
      socket.write(writer.content(), () => this.release(writer));
      return;
    }
    socket.write(writer.content());
    // Nothing left to write means that the system call took all bytes; otherwise the buffer is the socket's now.
    if (socket.writableLength === 0) this.release(writer);
  }
}
