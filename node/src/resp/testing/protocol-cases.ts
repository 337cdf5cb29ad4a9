/**
 * Protocol cases as data: bytes sent, bytes expected. Each runs three times on a connection of its own: sent whole, byte by
 * byte, and cut at random places.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';

import { type Random, seededRandom } from '../../../../common/random.ts';
import { command, RawClient } from './raw-client.ts';
import { TestServer, type TestServerOptions } from './test-server.ts';

export interface ProtocolCase {
  readonly name: string;
  readonly server?: TestServerOptions;
  /** Commands run on another connection first. */
  readonly given?: readonly (readonly (string | Buffer)[])[];
  /** Commands as lists of arguments, or bytes as they are. */
  readonly send: readonly (readonly (string | Buffer)[] | string | Buffer)[];
  /**
   * The reply's lines, without line ends. `{id}` stands for any UUID, `{number}` for any number, `{line}` for the rest of a
   * line, `{text}` for anything.
   */
  readonly expect: readonly string[];
  /** The server closes the connection; otherwise a QUIT is sent behind the case and its OK expected. */
  readonly closes?: true;
}

const patterns: Readonly<Record<string, string>> = {
  '{id}': '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
  '{number}': '[0-9]+',
  '{line}': '[^\\r\\n]*',
  '{text}': '[^]*',
};

/** What matches exactly these lines; see {@link ProtocolCase.expect}. */
export function expectation(lines: readonly string[]): RegExp {
  const text = lines.map((line) => Buffer.from(`${line}\r\n`).toString('latin1')).join('');
  const source = text
    .replace(/[.*+?^$()|[\]\\]/g, '\\$&')
    .replace(/\{[a-z]+\}|[{}]/g, (token) => patterns[token] ?? `\\${token}`);
  return new RegExp(`^${source}$`);
}

const seed = Number(process.env['SEED'] ?? 20_261);

function* pieces(bytes: Buffer, mode: string, random: Random): Generator<Buffer> {
  let at = 0;
  while (at < bytes.length) {
    const size =
      mode === 'whole' ? bytes.length : mode === 'byte by byte' ? 1 : 1 + random.below(40);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function run(
  { server: options, given = [], send, expect, closes }: ProtocolCase,
  mode: string,
): Promise<void> {
  await using server = await TestServer.start(options);
  if (given.length > 0) {
    using other = await RawClient.connect(server.port);
    other.send(...given.map((args) => command(...args)), command('QUIT'));
    await other.untilClosed();
  }
  using client = await RawClient.connect(server.port);
  const requests = closes === true ? send : [...send, ['QUIT']];
  const bytes = Buffer.concat(
    requests.map((request) =>
      typeof request === 'string' || Buffer.isBuffer(request)
        ? Buffer.from(request as string)
        : command(...request),
    ),
  );
  for (const piece of pieces(bytes, mode, seededRandom(seed))) {
    client.send(piece);
    // Lets the piece arrive by itself.
    await immediate();
  }
  const received = (await client.untilClosed()).toString('latin1');
  const lines = closes === true ? expect : [...expect, '+OK'];
  assert.match(received, expectation(lines), `seed ${seed}, expected ${JSON.stringify(lines)}`);
}

/** Declares the tests of a table of cases. */
export function protocolCases(title: string, cases: readonly ProtocolCase[]): void {
  describe(title, () => {
    for (const protocolCase of cases) {
      for (const mode of ['whole', 'byte by byte', 'random splits']) {
        test(`${protocolCase.name}, ${mode}`, () => run(protocolCase, mode));
      }
    }
  });
}

/** The event map of wire protocol section 3, as lines. */
export function eventLines(event: {
  id?: string;
  key?: string;
  partition?: number;
  transaction?: string;
  sequence?: number;
  version?: number;
  timestamp?: string;
  stream: string;
  name: string;
  metadata?: string;
  payload?: string;
  resp2?: boolean;
}): string[] {
  const blob = (text: string): string[] => [`$${Buffer.byteLength(text)}`, text];
  return [
    event.resp2 === true ? '*22' : '%11',
    '+event_id',
    `+${event.id ?? '{id}'}`,
    '+partition_key',
    `+${event.key ?? '{id}'}`,
    '+partition_id',
    `:${event.partition ?? '{number}'}`,
    '+transaction_id',
    `+${event.transaction ?? '{id}'}`,
    '+partition_sequence',
    `:${event.sequence ?? 0}`,
    '+stream_version',
    `:${event.version ?? 0}`,
    '+timestamp',
    `:${event.timestamp ?? '1700000000000'}`,
    '+stream_id',
    ...blob(event.stream),
    '+event_name',
    ...blob(event.name),
    '+metadata',
    ...blob(event.metadata ?? ''),
    '+payload',
    ...blob(event.payload ?? ''),
  ];
}

/** EAPPEND's reply, as lines. */
export function appendedLines(reply: {
  id?: string;
  key?: string;
  partition?: number;
  sequence?: number;
  version?: number;
  timestamp?: number;
  resp2?: boolean;
}): string[] {
  return [
    reply.resp2 === true ? '*12' : '%6',
    '+event_id',
    `+${reply.id ?? '{id}'}`,
    '+partition_key',
    `+${reply.key ?? '{id}'}`,
    '+partition_id',
    `:${reply.partition ?? '{number}'}`,
    '+partition_sequence',
    `:${reply.sequence ?? 0}`,
    '+stream_version',
    `:${reply.version ?? 0}`,
    '+timestamp',
    `:${reply.timestamp ?? 1_700_000_000_000}`,
  ];
}

export const pageLines = (
  hasMore: boolean,
  events: readonly (readonly string[])[],
  resp2 = false,
): string[] => [
  resp2 ? '*4' : '%2',
  '+has_more',
  resp2 ? `:${hasMore ? 1 : 0}` : `#${hasMore ? 't' : 'f'}`,
  '+events',
  `*${events.length}`,
  ...events.flat(),
];
