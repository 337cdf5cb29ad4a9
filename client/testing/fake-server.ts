/**
 * A server for tests: it keeps events in memory, answers what the client asks, and does what a test says instead where the test
 * says so: other answers, parts of answers, a closed connection.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface FakeEvent {
  readonly id: string;
  readonly streamId: string;
  readonly name: string;
  readonly version: number;
  readonly partition: number;
  readonly sequence: number;
  readonly payload: string;
}

/** Takes a command; true: it has been dealt with, false: the server answers as it would. */
export type Script = (command: readonly string[], peer: Peer) => boolean;

const PARTITIONS = 4;
const KEY = '7e124fe8-fe28-5398-bb95-53973100148f';
const TRANSACTION = '3f0c2b6e-9a41-4d57-8e21-6b7c5d4e3f2a';

export class FakeServer {
  readonly port: number;
  readonly events: FakeEvent[] = [];
  /** Everything that was asked but greetings, of all connections. */
  readonly commands: string[][] = [];
  readonly peers: Set<Peer> = new Set();
  script: Script = () => false;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => {
      const peer = new Peer(socket, this);
      this.peers.add(peer);
      socket.once('close', () => this.peers.delete(peer));
    });
  }

  static async start(port = 0): Promise<FakeServer> {
    const server = createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new FakeServer(server);
  }

  get url(): string {
    return `sierradb://127.0.0.1:${this.port}`;
  }

  /** Stores an event, as if somebody else had appended it. */
  add(streamId: string, name = 'Added', payload = ''): FakeEvent {
    const partition = partitionOf(streamId);
    const event = {
      id: uuidOf(this.events.length),
      streamId,
      name,
      version: this.of('stream', streamId).length,
      partition,
      sequence: this.of('partition', partition).length,
      payload,
    };
    this.events.push(event);
    for (const peer of this.peers) peer.deliver();
    return event;
  }

  of(kind: 'stream' | 'partition', key: string | number): FakeEvent[] {
    return this.events.filter((event) =>
      kind === 'stream' ? event.streamId === key : event.partition === Number(key),
    );
  }

  drop(): void {
    for (const peer of this.peers) peer.drop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.drop();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

interface FakeSubscription {
  readonly id: string;
  readonly kind: 'stream' | 'partition';
  /** Next place of each target. */
  readonly places: Map<string, number>;
  readonly window: number;
  sent: number;
  acknowledged: number;
}

/** One connection. */
export class Peer {
  readonly subscriptions: FakeSubscription[] = [];
  /** Bytes after which the connection is cut, counted from now. */
  #cutAfter = Infinity;
  readonly #socket: Socket;
  readonly #server: FakeServer;
  #received = '';

  constructor(socket: Socket, server: FakeServer) {
    this.#socket = socket;
    this.#server = server;
    socket.on('error', () => socket.destroy());
    socket.setNoDelay(true);
    // One byte is one character, so that lengths are those of the wire.
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#read(text));
  }

  /** Sends bytes, given as text of one character each. */
  send(text: string): void {
    const part = text.slice(0, this.#cutAfter);
    this.#cutAfter -= part.length;
    if (part !== '') this.#socket.write(part, 'latin1');
    if (this.#cutAfter <= 0) this.#socket.end();
  }

  /** Closes the connection behind the next `bytes` bytes. */
  cutAfter(bytes: number): void {
    this.#cutAfter = bytes;
  }

  drop(): void {
    this.#socket.destroy();
  }

  /** Sends what the windows allow. */
  deliver(): void {
    for (const each of this.subscriptions) {
      while (each.sent <= each.acknowledged + each.window) {
        const event = this.#nextFor(each);
        if (event === undefined) break;
        this.send(`>4\r\n+message\r\n+${each.id}\r\n:${each.sent}\r\n${eventText(event)}`);
        each.sent += 1;
      }
    }
  }

  #nextFor({ kind, places }: FakeSubscription): FakeEvent | undefined {
    for (const [key, next] of places) {
      const event = this.#server.of(kind, key)[next];
      if (event === undefined) continue;
      places.set(key, next + 1);
      return event;
    }
    return undefined;
  }

  #read(text: string): void {
    this.#received += text;
    for (;;) {
      const taken = this.#socket.destroyed ? null : takeCommand(this.#received);
      if (taken === null) return;
      this.#received = this.#received.slice(taken.length);
      this.#do(taken.words);
    }
  }

  #do(words: readonly string[]): void {
    const [name = ''] = words;
    if (name !== 'HELLO' && name !== 'CLIENT') this.#server.commands.push([...words]);
    if (this.#server.script(words, this)) return;
    const answer = answers[name];
    this.send(
      answer === undefined ? '-ERR unknown command\r\n' : answer(words, this.#server, this),
    );
    this.deliver();
  }
}

type Answer = (words: readonly string[], server: FakeServer, peer: Peer) => string;

const numberOrNull = (value: number): string => (value < 0 ? '_\r\n' : `:${value}\r\n`);

const answers: Readonly<Record<string, Answer>> = {
  HELLO: () =>
    `%5\r\n${blob('server')}${blob('sierradb')}${blob('version')}${blob('0.1.0')}` +
    `${blob('peer_id')}${blob('peer')}${blob('num_partitions')}:${PARTITIONS}\r\n${blob('proto')}:3\r\n`,
  CLIENT: () => '+OK\r\n',
  PING: () => '+PONG\r\n',
  EAPPEND: ([, streamId = '', name = '', , id = ''], server) => {
    const event =
      server.events.find((each) => each.id === id && each.streamId === streamId) ??
      server.add(streamId, name);
    Object.assign(event, { id });
    return appendedText(event);
  },
  ESVER: ([, streamId = ''], server) => numberOrNull(server.of('stream', streamId).length - 1),
  EPSEQ: ([, partition = ''], server) => numberOrNull(server.of('partition', partition).length - 1),
  ESCAN: ([, streamId = '', from, to, , count], server) =>
    pageText(server.of('stream', streamId), Number(from), to ?? '+', Number(count)),
  EPSCAN: ([, partition = '', from, to, , count], server) =>
    pageText(server.of('partition', partition), Number(from), to ?? '+', Number(count)),
  ESUB: (words, _server, peer) => {
    const from = words.indexOf('FROM');
    return subscribed(peer, 'stream', words.slice(1, from), words.slice(from));
  },
  EPSUB: (words, _server, peer) => {
    const all = Array.from({ length: PARTITIONS }, (_, i) => String(i));
    const keys = words[1] === '*' ? all : (words[1] ?? '').split(',');
    return subscribed(peer, 'partition', keys, words.slice(2));
  },
  EACK: ([, id, cursor], _server, peer) => {
    const found = peer.subscriptions.find((each) => each.id === id);
    if (found === undefined) return '-NOTFOUND subscription not found\r\n';
    found.acknowledged = Math.max(found.acknowledged, Number(cursor));
    return '+OK\r\n';
  },
};

function subscribed(
  peer: Peer,
  kind: 'stream' | 'partition',
  keys: readonly string[],
  clauses: readonly string[],
): string {
  const windowAt = clauses.indexOf('WINDOW');
  const map = new Map(
    clauses.slice(2, windowAt).map((pair) => {
      const at = pair.lastIndexOf('=');
      return [pair.slice(0, at), Number(pair.slice(at + 1))] as const;
    }),
  );
  const places = new Map(
    keys.map((key) => [key, clauses[1] === 'MAP' ? (map.get(key) ?? 0) : Number(clauses[1])]),
  );
  const id = uuidOf(1_000_000 + peer.subscriptions.length);
  const window = Number(clauses[windowAt + 1]);
  peer.subscriptions.push({ id, kind, places, window, sent: 0, acknowledged: -1 });
  return `+${id}\r\n>3\r\n+subscribe\r\n+${id}\r\n:${peer.subscriptions.length}\r\n`;
}

/** The default key's hash does not matter here: streams are spread by their last character. */
export const partitionOf = (streamId: string): number =>
  streamId.charCodeAt(streamId.length - 1) % PARTITIONS;

const uuidOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

export const blob = (text: string): string => `$${text.length}\r\n${text}\r\n`;

export function eventText(event: FakeEvent): string {
  return (
    `%11\r\n+event_id\r\n+${event.id}\r\n+partition_key\r\n+${KEY}\r\n` +
    `+partition_id\r\n:${event.partition}\r\n+transaction_id\r\n+${TRANSACTION}\r\n` +
    `+partition_sequence\r\n:${event.sequence}\r\n+stream_version\r\n:${event.version}\r\n` +
    `+timestamp\r\n:1700000000000\r\n+stream_id\r\n${blob(event.streamId)}` +
    `+event_name\r\n${blob(event.name)}+metadata\r\n${blob('')}+payload\r\n${blob(event.payload)}`
  );
}

export function appendedText(event: FakeEvent): string {
  return (
    `%6\r\n+event_id\r\n+${event.id}\r\n+partition_key\r\n+${KEY}\r\n` +
    `+partition_id\r\n:${event.partition}\r\n+partition_sequence\r\n:${event.sequence}\r\n` +
    `+stream_version\r\n:${event.version}\r\n+timestamp\r\n:1700000000000\r\n`
  );
}

function pageText(events: readonly FakeEvent[], from: number, to: string, count: number): string {
  const end = to === '+' ? events.length : Number(to) + 1;
  const page = events.slice(from, Math.min(end, from + count));
  const hasMore = from + page.length < Math.min(end, events.length);
  return (
    `%2\r\n+has_more\r\n#${hasMore ? 't' : 'f'}\r\n` +
    `+events\r\n*${page.length}\r\n${page.map(eventText).join('')}`
  );
}

/** The first whole command, and how many characters it takes. */
function takeCommand(text: string): { words: string[]; length: number } | null {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return null;
  const words: string[] = [];
  let at = head[0].length;
  for (let left = Number(head[1]); left > 0; left -= 1) {
    const word = /^\$(\d+)\r\n/.exec(text.slice(at, at + 16));
    if (word === null) return null;
    at += word[0].length;
    const end = at + Number(word[1]);
    if (text.length < end + 2) return null;
    words.push(text.slice(at, end));
    at = end + 2;
  }
  return { words, length: at };
}
