import { RawClient, command } from './raw-client.ts';
import type { TestServer } from './test-server.ts';

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** The whole numbers from `from` up to, but not `to`. */
export const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

/** A connection that knows which pushes belong to which of its subscriptions. */
export class Subscriber implements Disposable {
  readonly client: RawClient;

  static async connect(server: TestServer): Promise<Subscriber> {
    return new Subscriber(await RawClient.connect(server.port));
  }

  private constructor(client: RawClient) {
    this.client = client;
  }

  /** Everything received. */
  get text(): string {
    return this.client.bytes().toString('latin1');
  }

  /** Sends a command that answers with an id and a push, and resolves with the id. */
  async subscribe(...args: string[]): Promise<string> {
    const before = this.client.receivedBytes;
    this.client.send(command(...args));
    const answer = new RegExp(
      `^\\+(${UUID})\\r\\n>3\\r\\n\\+subscribe\\r\\n\\+\\1\\r\\n:\\d+\\r\\n`,
      'm',
    );
    for (;;) {
      const found = answer.exec(this.client.bytes().subarray(before).toString('latin1'));
      if (found !== null) return found[1]!;
      await this.#more();
    }
  }

  /** Sends a command and resolves when what is received from then on holds the reply, with the offset where it begins. */
  async ask(reply: string, ...args: string[]): Promise<number> {
    const before = this.client.receivedBytes;
    this.client.send(command(...args));
    for (;;) {
      const at = this.client.bytes().indexOf(reply, before);
      if (at >= 0) return at;
      await this.#more();
    }
  }

  /** Resolves when a subscription has received this many events. */
  async untilPushed(id: string, count: number): Promise<void> {
    while (this.cursors(id).length < count) await this.#more();
  }

  /** The cursors pushed for a subscription. */
  cursors(id: string): number[] {
    return this.#messages(id).map((message) => Number(message.split('\r\n')[3]!.slice(1)));
  }

  /** The payloads pushed, for one subscription or for all. */
  payloads(id?: string): string[] {
    return this.#messages(id).map((message) => message.split('\r\n').at(-2)!);
  }

  /** The whole frames received, replies and pushes apart. */
  split(): { replies: string[]; pushes: string[] } {
    const replies: string[] = [];
    const pushes: string[] = [];
    const { text } = this;
    for (let at = 0; ;) {
      const end = frameEnd(text, at);
      if (end === null) return { replies, pushes };
      (text[at] === '>' ? pushes : replies).push(text.slice(at, end));
      at = end;
    }
  }

  [Symbol.dispose](): void {
    this.client[Symbol.dispose]();
  }

  #messages(id = ''): string[] {
    return this.split().pushes.filter((push) => push.startsWith(`>4\r\n+message\r\n+${id}`));
  }

  async #more(): Promise<void> {
    if (this.client.closed) throw new Error(`closed after ${JSON.stringify(this.text)}`);
    await this.client.received(this.client.receivedBytes + 1);
  }
}

/** The offset behind the frame that begins at `at`; null if it is not whole. */
function frameEnd(text: string, at: number): number | null {
  const lineEnd = text.indexOf('\r\n', at);
  if (lineEnd < 0) return null;
  const count = Number(text.slice(at + 1, lineEnd));
  const type = text[at];
  let end: number | null = lineEnd + 2;
  if (type === '$') {
    end += count + 2;
  } else {
    const elements = type === '%' ? 2 * count : type === '*' || type === '>' ? count : 0;
    for (let i = 0; i < elements && end !== null; i += 1) end = frameEnd(text, end);
  }
  return end === null || end > text.length ? null : end;
}
