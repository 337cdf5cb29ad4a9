import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

import { pushBytes, SUBSCRIPTION_ID } from '../load/pushes.ts';

export interface FakeNodeOptions {
  /** Events that a subscription FROM 0 gets at once. */
  readonly history?: number;
  /** This many events are left out from the first one on. */
  readonly lost?: number;
  /** `first`: pushed before the append is answered; `next`: only when the appender's next command has come, or long afterwards. */
  readonly push?: 'first' | 'next';
}

/** Longer than an appender takes to send its next command. */
const LAST_PUSH_MS = 300;

/** Speaks as much of the protocol as subscribers and appenders of the generator do, and keeps no events. */
export class FakeNode implements AsyncDisposable {
  readonly #options: FakeNodeOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribers: { readonly socket: Socket; cursor: number }[] = [];

  private constructor(options: FakeNodeOptions) {
    this.#options = options;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      this.#serve(socket);
    });
  }

  static async start(options: FakeNodeOptions = {}): Promise<FakeNode> {
    const node = new FakeNode(options);
    node.#server.listen(0, '127.0.0.1');
    await once(node.#server, 'listening');
    return node;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    let rest = '';
    let publishLast = (): void => undefined;
    socket.on('data', (chunk: Buffer) => {
      const { commands, left } = split(rest + chunk.toString('latin1'));
      rest = left;
      for (const words of commands) {
        publishLast();
        if (words[0] === 'EAPPEND') publishLast = this.#append(socket, words.at(-1) ?? '');
        else this.#answer(socket, words);
      }
    });
  }

  /** Answers; what it returns pushes the event, once. */
  #append(socket: Socket, payload: string): () => void {
    let isPublished = false;
    const publish = (): void => {
      if (isPublished) return;
      isPublished = true;
      this.#publish(payload);
    };
    if (this.#options.push !== 'next') publish();
    socket.write('%1\r\n+stream_version\r\n:0\r\n');
    // The last one has no next command.
    setTimeout(publish, LAST_PUSH_MS).unref();
    return publish;
  }

  #answer(socket: Socket, words: readonly string[]): void {
    if (words[0] === 'HELLO') {
      socket.write('%1\r\n$5\r\nproto\r\n:3\r\n');
      return;
    }
    socket.write(`+${SUBSCRIPTION_ID}\r\n>3\r\n+subscribe\r\n+${SUBSCRIPTION_ID}\r\n:1\r\n`);
    const subscriber = { socket, cursor: this.#options.lost ?? 0 };
    this.#subscribers.push(subscriber);
    const events = words.includes('FROM') ? (this.#options.history ?? 0) : 0;
    for (; subscriber.cursor < events; subscriber.cursor += 1) {
      socket.write(pushBytes({ cursor: subscriber.cursor, streamId: 's', payload: 'p' }));
    }
  }

  #publish(payload: string): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.socket.destroyed) continue;
      const { cursor } = subscriber;
      subscriber.socket.write(pushBytes({ cursor, streamId: 's', payload }));
      subscriber.cursor += 1;
    }
  }
}

/** Commands whose arguments hold no line ends. */
function split(text: string): { readonly commands: string[][]; readonly left: string } {
  const commands: string[][] = [];
  let left = text;
  for (;;) {
    const head = /^\*(\d+)\r\n/.exec(left);
    if (head === null) return { commands, left };
    const lines = left.slice(head[0].length).split('\r\n');
    const count = 2 * Number(head[1]);
    if (lines.length <= count) return { commands, left };
    commands.push(lines.slice(0, count).filter((_, index) => index % 2 === 1));
    left = lines.slice(count).join('\r\n');
  }
}
