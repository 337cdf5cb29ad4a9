import assert from 'node:assert/strict';
import test from 'node:test';

import { clusterHeaders } from '../../../common/cluster-contract.ts';
import { seededRandom } from '../../../common/random.ts';
import type { WireMessage } from './message-format.ts';
import { PeerNetwork, type PeerNetworkOptions } from './peer-network.ts';
import { outcomeOf } from './peer.ts';
import { type CommandRequest, PeerError, type Sender } from './peer-requests.ts';
import { type FakeBatch, FakePeer } from './testing/fake-peer.ts';

const [HERE, THERE] = ['0101010101010101', '0202020202020202'];
const CLUSTER = '6f2f6f0a-7b0b-4d3c-9a1e-0d6e1b6c2a11';
const SELF = { member: 'here', cluster: CLUSTER, boot: 7, bucketCount: 4, partitionCount: 32 };

function networkTo(peer: FakePeer, options: Partial<PeerNetworkOptions> = {}): PeerNetwork {
  const { address } = peer;
  return new PeerNetwork({
    self: () => SELF,
    memberOf: (_bucket, replica) => (replica === THERE ? 'there' : null),
    addressOf: (member) => (member === 'there' ? address : null),
    random: seededRandom(1),
    ...options,
  });
}

const envelope = { from: HERE, to: THERE, term: 3 };

const heartbeat = (round: number): WireMessage => ({
  kind: 'heartbeat',
  ...envelope,
  commit: 0,
  round,
});

const reply = (index: number): WireMessage => ({ kind: 'appendReply', ...envelope, index });

const append = (): WireMessage => ({
  kind: 'append',
  ...envelope,
  ...{ previousIndex: 0, previousTerm: 0, entries: [], commit: 0 },
});

const kinds = ({ messages }: FakeBatch): string[] => messages.map(({ kind }) => kind);
const never = new AbortController().signal;

/** Few enough to see what waits behind them. */
const TWO_BATCHES = { limits: { batchesMax: 2 } };

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function withPeer(
  run: (network: PeerNetwork, peer: FakePeer) => Promise<void>,
  options: Partial<PeerNetworkOptions> = {},
): Promise<void> {
  const peer = await FakePeer.open();
  const network = networkTo(peer, options);
  try {
    await run(network, peer);
  } finally {
    await network.close();
    await peer.close();
  }
}

const failures = (network: PeerNetwork): number => network.statistics().get('there')?.failures ?? 0;

const run = (
  network: PeerNetwork,
  body: string,
  { signal = never, ...request }: Partial<CommandRequest> & { readonly signal?: AbortSignal } = {},
): Promise<Buffer> =>
  network.run('there', { bucket: 0, lane: 'appends', ...request, body: Buffer.from(body) }, signal);

/** What became of a request, when it is over. */
const fate = (answer: Promise<Buffer>): Promise<string> =>
  answer.then(String, (error: unknown) => (error instanceof PeerError ? error.outcome : 'aborted'));

test('messages of one turn leave in one batch, with who sends them', async () => {
  await withPeer(
    async (network, peer) => {
      for (let bucket = 0; bucket < 100; bucket += 1) network.send(bucket, heartbeat(bucket), null);
      const { stream, messages, take } = await peer.batch();
      assert.equal(stream.lane, 'control');
      assert.equal(messages.length, 100);
      const { headers } = stream;
      assert.equal(headers[clusterHeaders.member], 'here');
      assert.equal(headers[clusterHeaders.cluster], CLUSTER);
      assert.equal(headers[clusterHeaders.boot], '7');
      assert.equal(headers[clusterHeaders.counts], '4/32');
      assert.equal(headers.authorization, 'Bearer a secret');
      take();
      assert.equal(network.statistics().get('there')?.requests, 1);
    },
    { secret: 'a secret' },
  );
});

test('who sends is said anew when it has changed, without the secret', async () => {
  let self: Sender = SELF;
  await withPeer(
    async (network, peer) => {
      network.send(0, reply(1), null);
      (await peer.batch()).take();
      self = { ...SELF, isDraining: true };
      network.send(0, reply(2), null);
      const { stream, take } = await peer.batch();
      take();
      assert.equal(stream.headers[clusterHeaders.draining], '1');
      assert.equal(stream.headers.authorization, undefined);
      assert.equal(stream.taken, 3, 'a frame says who sends');
      network.send(0, reply(3), null);
      await peer.batch();
      assert.equal(stream.taken, 4, 'and is not repeated');
    },
    { secret: 'a secret', self: () => self },
  );
});

test('entries that nobody takes do not hold up heartbeats', async () => {
  await withPeer(async (network, peer) => {
    network.send(0, append(), Buffer.alloc(0));
    const first = await peer.batch();
    network.send(0, append(), null);
    const second = await peer.batch();
    // Two batches with entries are on their way; what follows waits for one of them.
    network.send(0, reply(1), null);
    network.send(1, reply(2), null);
    network.send(0, heartbeat(1), null);
    const control = await peer.batch();
    assert.deepEqual(kinds(control), ['heartbeat']);
    assert.notEqual(control.stream, first.stream);
    assert.equal(second.stream, first.stream, 'in their order');
    control.take();
    network.send(0, heartbeat(2), null);
    const next = await peer.batch();
    assert.deepEqual(kinds(next), ['heartbeat']);
    next.take();
    assert.equal(peer.pending, 0);
    first.take();
    assert.deepEqual(kinds(await peer.batch()), ['appendReply', 'appendReply']);
    second.take();
  }, TWO_BATCHES);
});

test('bytes on their way are bounded, too', async () => {
  await withPeer(
    async (network, peer) => {
      network.send(0, append(), Buffer.alloc(0));
      const first = await peer.batch();
      network.send(0, reply(1), null);
      network.send(0, heartbeat(1), null);
      assert.deepEqual(kinds(await peer.batch()), ['heartbeat']);
      assert.equal(peer.pending, 0);
      first.take();
      assert.deepEqual(kinds(await peer.batch()), ['appendReply']);
    },
    { limits: { batchBytesMax: 40 } },
  );
});

test('what waits for a silent peer is bounded, the oldest gives way', async () => {
  await withPeer(
    async (network, peer) => {
      network.send(0, reply(0), null);
      await peer.batch();
      network.send(0, reply(0), null);
      const second = await peer.batch();
      for (let index = 1; index <= 1000; index += 1) network.send(0, reply(index), null);
      second.take();
      const { messages } = await peer.batch();
      assert.equal(messages.length, 27, 'messages of 36 bytes in 1000 bytes');
      assert.deepEqual(messages.at(-1), reply(1000));
      assert.equal(network.statistics().get('there')?.dropped, 973);
    },
    { limits: { ...TWO_BATCHES.limits, queueBytesMax: 1000 } },
  );
});

test('a large batch is cut at 1 MiB and one message', async () => {
  await withPeer(async (network, peer) => {
    const bytes = 1024 * 1024;
    for (let i = 0; i < 40_000; i += 1) network.send(0, reply(i), null);
    const batch = await peer.batch();
    assert(batch.body.length >= bytes && batch.body.length < bytes + 36);
    const rest = await peer.batch();
    assert.equal(batch.messages.length + rest.messages.length, 40_000);
  });
});

test('a peer that was away is heard of when it is back, and its absence fails nothing', async () => {
  const away = await FakePeer.open();
  const { port } = away;
  const network = networkTo(away);
  await away.close();
  network.send(0, heartbeat(1), null);
  while (failures(network) === 0) await turn();
  const back = await FakePeer.open(port);
  try {
    network.send(0, heartbeat(2), null);
    const { messages, take } = await back.batch();
    assert.deepEqual(messages, [heartbeat(1), heartbeat(2)]);
    take();
  } finally {
    await network.close();
    await back.close();
  }
});

test('a peer that is killed is found again; what was on its way is lost', async () => {
  const first = await FakePeer.open();
  const network = networkTo(first);
  network.send(0, reply(1), null);
  await first.batch();
  const { port } = first;
  await first.close();
  while (failures(network) === 0) await turn();
  const second = await FakePeer.open(port);
  try {
    network.send(0, reply(2), null);
    assert.deepEqual((await second.batch()).messages, [reply(2)]);
  } finally {
    await network.close();
    await second.close();
  }
});

test('a silent peer is given up, and tried again', async () => {
  await withPeer(
    async (network, peer) => {
      network.send(0, reply(1), null);
      const { stream } = await peer.batch();
      while (failures(network) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(network.statistics().get('there')?.lastFailure, 'no answer in time');
      network.send(0, reply(2), null);
      const second = await peer.batch();
      assert.notEqual(second.stream, stream);
      assert.deepEqual(second.messages, [reply(2)]);
    },
    { limits: { dataAnswerMs: 40 } },
  );
});

test('a refused stream is counted with its reason, and tried again', async () => {
  const told: string[] = [];
  const onRefused = (member: string, reason: string): unknown => told.push(`${member}: ${reason}`);
  await withPeer(
    async (network, peer) => {
      peer.refusal = { status: 409, reason: 'another cluster' };
      network.send(0, heartbeat(1), null);
      while (failures(network) !== 1) await turn();
      assert.equal(network.statistics().get('there')?.lastFailure, 'another cluster');
      peer.refusal = null;
      const { messages, stream, take } = await peer.batch();
      assert.deepEqual(messages, [heartbeat(1)]);
      take();
      stream.refuse(409, 'not a member any more');
      while (failures(network) !== 2) await turn();
      assert.equal(network.statistics().get('there')?.lastFailure, 'not a member any more');
      assert.deepEqual(told, ['there: another cluster', 'there: not a member any more']);
    },
    { onRefused },
  );
});

test('a peer without streams is told of as such', async () => {
  await withPeer(async (network, peer) => {
    peer.refusal = { status: 404, reason: 'what?' };
    network.send(0, heartbeat(1), null);
    while (failures(network) !== 1) await turn();
    const { lastFailure } = network.statistics().get('there') ?? {};
    assert.equal(lastFailure, 'it does not speak sierradb-stream/1');
  });
});

test('what a peer may not answer ends the stream', async () => {
  for (const bytes of [
    [0, 0, 0, 0, 4],
    [5, 0, 0, 0, 4, 9, 0, 0, 0],
    [1, 0, 0, 0, 99],
    [1, 0, 0, 0, 4],
  ]) {
    await withPeer(async (network, peer) => {
      network.send(0, reply(1), null);
      const { stream } = await peer.batch();
      stream.socket.write(Buffer.from(bytes));
      while (failures(network) === 0) await turn();
      assert.match(network.statistics().get('there')?.lastFailure ?? '', /what came was no answer/);
    });
  }
});

test('messages to a replica that nobody knows are dropped', async () => {
  await withPeer((network) => {
    network.send(0, { ...heartbeat(1), to: HERE }, null);
    assert.equal(network.unaddressed, 1);
    assert.equal(network.statistics().size, 0);
    return Promise.resolve();
  });
});

test('requests: body, range, and what a refusal says', async () => {
  await withPeer(async (network, peer) => {
    const got = network.get('there', '/v1/y', { from: 10, to: 20 }, never);
    const ranged = await peer.request();
    assert.deepEqual([ranged.method, ranged.path], ['GET', '/v1/y']);
    assert.equal(ranged.headers.range, 'bytes=10-19');
    ranged.answer(206, 'part');
    assert.equal((await got).toString(), 'part');

    const refused = network.put('there', '/v1/z', Buffer.from('{}'), never);
    const put = await peer.request();
    assert.equal(put.body.toString(), '{}');
    assert.equal(put.headers['content-type'], 'application/json');
    put.answer(409, JSON.stringify({ reason: 'no' }));
    await assert.rejects(refused, new PeerError('no', 'not done', 409));
  });
});

test('commands of one turn leave in their order, and are answered in any', async () => {
  await withPeer(async (network, peer) => {
    const answers = ['a', 'b', 'c'].map((body, bucket) => run(network, body, { bucket }));
    const commands = [await peer.command(), await peer.command(), await peer.command()];
    assert.deepEqual(
      commands.map(({ bucket, body }) => `${String(bucket)} ${body.toString()}`),
      ['0 a', '1 b', '2 c'],
    );
    for (const { answer, body } of commands.toReversed()) answer(200, `${body.toString()}!`);
    assert.deepEqual((await Promise.all(answers)).map(String), ['a!', 'b!', 'c!']);
  });
});

test('a large answer to a read does not stand before one to an append', async () => {
  await withPeer(async (network, peer) => {
    const read = run(network, 'read', { lane: 'reads' });
    const first = await peer.command();
    const appended = run(network, 'append');
    const second = await peer.command();
    assert.deepEqual([first.stream.lane, second.stream.lane], ['reads', 'appends']);
    second.answer(200, 'done');
    assert.equal((await appended).toString(), 'done');
    first.answer(200, Buffer.alloc(4 * 1024 * 1024, 'x'));
    assert.equal((await read).length, 4 * 1024 * 1024);
  });
});

test('a refusal of a command says whether anything was done', async () => {
  await withPeer(async (network, peer) => {
    for (const [status, outcome] of [
      [409, 'not done'],
      [503, 'not done'],
      [500, 'unknown'],
    ] as const) {
      const refused = run(network, 'x');
      (await peer.command()).answer(status, 'why');
      await assert.rejects(refused, new PeerError('why', outcome, status));
    }
  });
});

test('a stream that breaks leaves open what was sent, and nothing else', async () => {
  const peer = await FakePeer.open();
  const network = networkTo(peer);
  const sent = fate(run(network, 'sent'));
  await peer.command();
  await peer.close();
  assert.equal(await sent, 'unknown');
  assert.equal(await fate(run(network, 'later')), 'not done', 'the link pauses');
  assert.equal(
    await fate(network.run('nobody', { bucket: 0, lane: 'reads', body: Buffer.alloc(0) }, never)),
    'not done',
  );
  await network.close();
});

test('a network that closes leaves open what is under way', async () => {
  await withPeer(async (network, peer) => {
    const sent = fate(run(network, 'sent'));
    await peer.command();
    const waiting = fate(run(network, 'waiting'));
    await network.close();
    assert.equal(await sent, 'unknown');
    assert.equal(await waiting, 'not done');
  });
});

test('a command that was refused with its stream has not been done', async () => {
  await withPeer(async (network, peer) => {
    peer.refusal = { status: 409, reason: 'not a member' };
    await assert.rejects(run(network, 'x'), new PeerError('not a member', 'not done', 409));
  });
});

test('a frozen peer costs bounded memory, and what never left is known not to be done', async () => {
  const MEBIBYTE = 1024 * 1024;
  await withPeer(
    async (network, peer) => {
      peer.isFrozen = true;
      const body = 'x'.repeat(MEBIBYTE);
      const fates = Array.from({ length: 100 }, () => fate(run(network, body)));
      const all = await Promise.all(fates);
      const unknown = all.filter((outcome) => outcome === 'unknown').length;
      const notDone = all.filter((outcome) => outcome === 'not done').length;
      assert.equal(unknown + notDone, 100);
      assert.equal(unknown, 16, 'as much as may be on its way');
    },
    { limits: { commandAnswerMs: 100 } },
  );
});

test('a command ends with its signal, sent or not', async () => {
  await withPeer(async (network, peer) => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const sent = run(network, 'sent', { signal: abort.signal });
    const { answer } = await peer.command();
    const waiting = run(network, 'waiting', { signal: abort.signal });
    abort.abort(reason);
    await assert.rejects(sent, reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(run(network, 'never', { signal: abort.signal }), reason);
    // The answer that comes now is nobody's.
    answer(200, 'late');
    const next = run(network, 'next');
    const command = await peer.command();
    assert.equal(command.body.toString(), 'next', 'what waited was never sent');
    command.answer(200, 'ok');
    assert.equal((await next).toString(), 'ok');
  });
});

test('a host that becomes unreachable may have done what it was asked for', () => {
  const failure = (code: string, syscall: string): Error =>
    Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
  for (const code of ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH']) {
    assert.equal(outcomeOf(failure(code, 'connect')), 'not done');
    assert.equal(outcomeOf(failure(code, 'read')), 'unknown');
    assert.equal(outcomeOf(failure(code, 'write')), 'unknown');
  }
  assert.equal(outcomeOf(failure('ENOTFOUND', 'getaddrinfo')), 'not done');
});

test('what arrives goes to the groups of its buckets; what is no message is refused', async () => {
  await withPeer(async (network, peer) => {
    network.send(2, heartbeat(9), null);
    const { body, take } = await peer.batch();
    take();
    const received: number[] = [];
    network.attach((bucket) => {
      received.push(bucket);
      return undefined;
    });
    network.receive(body);
    assert.deepEqual(received, [2]);
    assert.throws(() => {
      network.receive(body.subarray(1));
    }, RangeError);
  });
});
