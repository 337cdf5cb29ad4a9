import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection that sends and receives bytes, nothing else. */
export class RawClient {
  readonly socket: Socket;
  #received: Buffer[] = [];
  #length = 0;
  #wakeup: (() => void) | null = null;
  #closed = false;

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#length += chunk.length;
      this.#wakeup?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      this.#wakeup?.();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  get receivedBytes(): number {
    return this.#length;
  }

  send(...parts: (string | Buffer)[]): void {
    this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part as string))));
  }

  /** Resolves when `length` bytes have been received in all, or the connection has closed. */
  async received(length: number): Promise<Buffer> {
    while (this.#length < length && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wakeup = resolve;
      });
    }
    return this.bytes();
  }

  /** Everything received until the server closed the connection. */
  async untilClosed(): Promise<Buffer> {
    return this.received(Infinity);
  }

  /** Everything received so far. */
  bytes(): Buffer {
    if (this.#received.length !== 1) this.#received = [Buffer.concat(this.#received)];
    return this.#received[0]!;
  }

  /** Resolves with everything received as soon as it ends with `text`. */
  async receivedText(text: string): Promise<string> {
    for (;;) {
      const received = this.bytes().toString('latin1');
      if (received.endsWith(text)) return received;
      if (this.#closed) throw new Error(`closed after ${JSON.stringify(received)}`);
      await this.received(this.#length + 1);
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A command as clients send it: an array of blobs. */
export function command(...args: (string | Buffer)[]): Buffer {
  const parts = args.map((argument) => {
    const bytes = Buffer.from(argument as string);
    return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
  });
  return Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...parts]);
}
