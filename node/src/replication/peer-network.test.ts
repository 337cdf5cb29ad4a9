import assert from 'node:assert/strict';
import test from 'node:test';

import { clusterHeaders } from '../../../common/cluster-contract.ts';
import { seededRandom } from '../../../common/random.ts';
import type { WireMessage } from './message-format.ts';
import { PeerNetwork, type PeerNetworkOptions } from './peer-network.ts';
import { outcomeOf } from './peer.ts';
import { PeerError } from './peer-requests.ts';
import { FakePeer, type FakeRequest } from './testing/fake-peer.ts';

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

const kinds = ({ messages }: FakeRequest): string[] => messages.map(({ kind }) => kind);
const never = new AbortController().signal;

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

test('messages of one turn leave in one request, with who sends them', async () => {
  await withPeer(
    async (network, peer) => {
      for (let bucket = 0; bucket < 100; bucket += 1) network.send(bucket, heartbeat(bucket), null);
      const request = await peer.next();
      assert.equal(request.path, '/v1/raft');
      assert.equal(request.messages.length, 100);
      const { headers } = request;
      assert.equal(headers[clusterHeaders.member], 'here');
      assert.equal(headers[clusterHeaders.cluster], CLUSTER);
      assert.equal(headers[clusterHeaders.boot], '7');
      assert.equal(headers[clusterHeaders.counts], '4/32');
      assert.equal(headers.authorization, 'Bearer a secret');
      request.answer(204);
    },
    { secret: 'a secret' },
  );
});

test('entries that nobody answers do not hold up heartbeats', async () => {
  await withPeer(async (network, peer) => {
    network.send(0, append(), Buffer.alloc(0));
    const first = await peer.next();
    network.send(0, append(), null);
    const second = await peer.next();
    // Two requests with entries are on their way; what follows waits for one of them.
    network.send(0, reply(1), null);
    network.send(1, reply(2), null);
    network.send(0, heartbeat(1), null);
    const control = await peer.next();
    assert.deepEqual(kinds(control), ['heartbeat']);
    assert.notEqual(control.connection, first.connection);
    assert.equal(second.connection, first.connection, 'in their order');
    control.answer(204);
    network.send(0, heartbeat(2), null);
    const next = await peer.next();
    assert.deepEqual(kinds(next), ['heartbeat']);
    next.answer(204);
    assert.equal(peer.pending, 0);
    first.answer(204);
    assert.deepEqual(kinds(await peer.next()), ['appendReply', 'appendReply']);
    second.answer(204);
  });
});

test('what waits for a silent peer is bounded, the oldest gives way', async () => {
  await withPeer(
    async (network, peer) => {
      network.send(0, reply(0), null);
      const first = await peer.next();
      network.send(0, reply(0), null);
      const second = await peer.next();
      for (let index = 1; index <= 1000; index += 1) network.send(0, reply(index), null);
      first.answer(204);
      const { messages } = await peer.next();
      assert.equal(messages.length, 27, 'messages of 36 bytes in 1000 bytes');
      assert.deepEqual(messages.at(-1), reply(1000));
      assert.equal(network.statistics().get('there')?.dropped, 973);
      second.answer(204);
    },
    { limits: { queueBytesMax: 1000 } },
  );
});

test('a large batch is cut at 1 MiB and one message', async () => {
  await withPeer(async (network, peer) => {
    // The frames of this test are none: they would be refused where a batch is decoded.
    const bytes = 1024 * 1024;
    for (let i = 0; i < 40_000; i += 1) network.send(0, reply(i), null);
    const request = await peer.next();
    assert(request.body.length >= bytes && request.body.length < bytes + 36);
    request.answer(204);
    const rest = await peer.next();
    assert.equal(request.messages.length + rest.messages.length, 40_000);
    rest.answer(204);
  });
});

test('a peer that was away is heard of when it is back, and its absence fails nothing', async () => {
  const away = await FakePeer.open();
  const { port } = away;
  const network = networkTo(away);
  await away.close();
  const failed = (): number => network.statistics().get('there')?.failures ?? 0;
  network.send(0, heartbeat(1), null);
  while (failed() === 0) await new Promise(setImmediate);
  const back = await FakePeer.open(port);
  try {
    network.send(0, heartbeat(2), null);
    const request = await back.next();
    assert.deepEqual(request.messages, [heartbeat(2)]);
    request.answer(204);
  } finally {
    await network.close();
    await back.close();
  }
});

test('a refused batch is counted, not repeated', async () => {
  await withPeer(async (network, peer) => {
    network.send(0, heartbeat(1), null);
    (await peer.next()).answer(409, JSON.stringify({ reason: 'another cluster' }));
    while (network.statistics().get('there')?.failures !== 1) await new Promise(setImmediate);
    network.send(0, heartbeat(2), null);
    const request = await peer.next();
    assert.deepEqual(request.messages, [heartbeat(2)]);
    request.answer(204);
  });
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
    const posted = network.post('there', '/v1/x', Buffer.from('in'), never);
    const request = await peer.next();
    assert.deepEqual(
      [request.method, request.path, request.body.toString()],
      ['POST', '/v1/x', 'in'],
    );
    request.answer(200, 'out');
    assert.equal((await posted).toString(), 'out');

    const got = network.get('there', '/v1/y', { from: 10, to: 20 }, never);
    const ranged = await peer.next();
    assert.equal(ranged.headers.range, 'bytes=10-19');
    ranged.answer(206, 'part');
    assert.equal((await got).toString(), 'part');

    const refused = network.put('there', '/v1/z', Buffer.from('{}'), never);
    const put = await peer.next();
    assert.equal(put.headers['content-type'], 'application/json');
    put.answer(409, JSON.stringify({ reason: 'no' }));
    await assert.rejects(refused, new PeerError('no', 'not done', 409));
  });
});

test('whether a failed request may have been done', async () => {
  const peer = await FakePeer.open();
  const network = networkTo(peer);
  const broken = network.post('there', '/v1/x', Buffer.alloc(0), never);
  await peer.next();
  await peer.close();
  await assert.rejects(broken, (error: PeerError) => error.outcome === 'unknown');
  const away = network.post('there', '/v1/x', Buffer.alloc(0), never);
  await assert.rejects(away, (error: PeerError) => error.outcome === 'not done');
  const nobody = network.post('nobody', '/v1/x', Buffer.alloc(0), never);
  await assert.rejects(nobody, (error: PeerError) => error.outcome === 'not done');
  await network.close();
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

test('a request ends with its signal', async () => {
  await withPeer(async (network, peer) => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const posted = network.post('there', '/v1/x', Buffer.alloc(0), abort.signal);
    await peer.next();
    abort.abort(reason);
    await assert.rejects(posted, reason);
  });
});

test('what arrives goes to the groups of its buckets; what is no message is refused', async () => {
  await withPeer(async (network, peer) => {
    network.send(2, heartbeat(9), null);
    const { body, answer } = await peer.next();
    answer(204);
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
