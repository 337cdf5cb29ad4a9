import assert from 'node:assert/strict';
import test from 'node:test';

import { clusterHeaders, clusterPaths } from '../../../common/cluster-contract.ts';
import { ClusterRefusal } from '../cluster/types.ts';
import { frameKinds, senderFrame } from '../replication/stream-format.ts';
import {
  type ClusterServer,
  type ClusterServerOptions,
  openClusterServer,
} from './cluster-server.ts';
import { MEMBER, NotingService, SENDER } from './testing/noting-service.ts';
import { frameOf, RawStream, type RawStreamOptions } from './testing/raw-stream.ts';

const { messages, request, sender } = frameKinds;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function withServer(
  run: (server: ClusterServer, service: NotingService) => Promise<void>,
  options: Partial<ClusterServerOptions> = {},
): Promise<void> {
  const service = new NotingService();
  await using server = await openClusterServer({ host: '127.0.0.1', port: 0, ...options }, service);
  await run(server, service);
}

async function opened(
  { port }: ClusterServer,
  headers: Readonly<Record<string, string>> = MEMBER,
  options: RawStreamOptions = {},
): Promise<RawStream> {
  const stream = await RawStream.open(port, headers, options);
  assert(stream instanceof RawStream, JSON.stringify(stream));
  return stream;
}

test('messages reach the service, their sender first, and the member is told', async () => {
  await withServer(async (server, service) => {
    await using stream = await opened(server);
    stream.send(messages, 'a batch');
    stream.socket.write(Buffer.concat([frameOf(messages, 'b'), frameOf(messages, 'c')]));
    // Once, after a while.
    assert.equal(await stream.next(), 'received 3');
    assert.deepEqual(service.senders, [SENDER, SENDER, SENDER, SENDER]);
    assert.deepEqual(service.batches.map(String), ['a batch', 'b', 'c']);
    assert.deepEqual(server.streams, { open: 1, refused: 0, lastReason: null });
  });
});

test('a member that has sent much is told at once that it was taken', async (t) => {
  // What is told after a while is never told.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  await withServer(async (server) => {
    await using stream = await opened(server);
    for (let i = 0; i < 1000; i += 1) stream.send(messages, 'a batch');
    let told = 0;
    while (told <= 1000 - 64) told = Number((await stream.next()).replace('received ', ''));
    await using other = await opened(server, MEMBER, { lane: 'control' });
    const large = Buffer.concat([frameOf(messages, Buffer.alloc(300_000)), frameOf(messages, 'x')]);
    other.socket.write(large.subarray(0, -1));
    assert.equal(await other.next(), 'received 1');
  });
});

test('frames may be cut anywhere', async () => {
  await withServer(async (server, service) => {
    await using stream = await opened(server);
    for (const byte of frameOf(messages, 'a batch')) {
      stream.socket.write(Buffer.from([byte]));
      await turn();
    }
    assert.equal(await stream.next(), 'received 1');
    assert.deepEqual(service.batches.map(String), ['a batch']);
  });
});

test('commands are answered as they are done, those of one turn together', async () => {
  await withServer(async (server, service) => {
    await using stream = await opened(server, MEMBER, { lane: 'appends' });
    stream.request(1, 3, 'run');
    assert.equal(await stream.next(), 'received 1');
    assert.equal(await stream.next(), 'answer 1 200 3:run');
    const pending: PromiseWithResolvers<Buffer>[] = [];
    service.run = () => {
      const answer = Promise.withResolvers<Buffer>();
      pending.push(answer);
      return answer.promise;
    };
    for (const id of [7, 8, 9]) stream.request(id, 0, 'x');
    // Nothing is answered, and still the member is told that it was heard.
    assert.equal(await stream.next(), 'received 4');
    pending[2]?.resolve(Buffer.from('nine'));
    pending[1]?.reject(new ClusterRefusal('not now'));
    assert.equal(await stream.next(), 'answer 9 200 nine');
    assert.equal(await stream.next(), 'answer 8 409 not now');
    pending[0]?.reject(new Error('a bug'));
    assert.equal(await stream.next(), 'answer 7 500 a bug');
  });
});

test('who is not admitted gets no stream', async () => {
  await withServer(
    async ({ port }, service) => {
      const right: Record<string, string> = { ...MEMBER, authorization: 'Bearer right' };
      const refused = async (
        headers: Readonly<Record<string, string>>,
        options: RawStreamOptions = {},
      ): Promise<unknown> => RawStream.open(port, headers, options);
      const secret = { status: 401, reason: 'the secret of the cluster is not this one' };
      assert.deepEqual(await refused(MEMBER), secret);
      assert.deepEqual(await refused({ ...MEMBER, authorization: 'Bearer wrong' }), secret);
      const operator = { authorization: 'Bearer right' };
      const only = { status: 400, reason: 'only members may ask for this' };
      assert.deepEqual(await refused(operator), only);
      const { [clusterHeaders.cluster]: _, ...forming } = right;
      const forMembers = { status: 409, reason: 'this is for members of a cluster' };
      assert.deepEqual(await refused(forming), forMembers);
      const counts = { ...right, [clusterHeaders.counts]: 'many' };
      assert.deepEqual(await refused(counts), { status: 400, reason: 'a member says who it is' });
      service.refusal = new ClusterRefusal('a rolled-back disk');
      assert.deepEqual(await refused(right), { status: 409, reason: 'a rolled-back disk' });
      service.refusal = null;
      const nothing = { status: 404, reason: 'there is nothing to upgrade' };
      assert.deepEqual(await refused(right, { path: '/v1/status' }), nothing);
      const upgraded = { status: 426, reason: 'streams are upgraded to sierradb-stream/1' };
      assert.deepEqual(await refused(right, { protocol: 'sierradb-stream/2' }), upgraded);
      const lane = { status: 400, reason: 'a stream says which lane it is' };
      assert.deepEqual(await refused(right, { lane: 'fast' }), lane);
      assert.deepEqual(service.batches, []);
    },
    { secret: 'right' },
  );
});

test('a stream that is not upgraded is refused in words', async () => {
  await withServer(async ({ port }) => {
    const answer = await fetch(`http://127.0.0.1:${String(port)}${clusterPaths.stream}`, {
      headers: MEMBER,
    });
    assert.equal(answer.status, 426);
    assert.equal(answer.headers.get('upgrade'), 'sierradb-stream/1');
    const reason = 'streams are upgraded to sierradb-stream/1';
    assert.deepEqual(await answer.json(), { reason });
  });
});

test('who is not admitted any more is told why, and not heard', async () => {
  await withServer(async (server, service) => {
    for (const kind of [messages, request]) {
      await using stream = await opened(server);
      stream.send(messages, 'before');
      assert.equal(await stream.next(), 'received 1');
      service.refusal = new ClusterRefusal('it has left the cluster');
      stream.send(kind, '123456 and more');
      assert.equal(await stream.next(), 'closed 409 it has left the cluster');
      assert.equal(await stream.next(), 'end');
      service.refusal = null;
    }
    assert.deepEqual(service.batches.map(String), ['before', 'before']);
    assert.deepEqual(server.streams, {
      open: 0,
      refused: 2,
      lastReason: 'it has left the cluster',
    });
  });
});

test('a member says anew who it is; it stays the same member', async () => {
  await withServer(async (server, service) => {
    await using stream = await opened(server);
    const headers = { ...MEMBER, [clusterHeaders.draining]: '1' };
    stream.socket.write(senderFrame(Object.entries(headers).flat()));
    stream.send(messages, 'x');
    assert.equal(await stream.next(), 'received 2');
    assert.equal(service.senders.at(-1)?.isDraining, true);
    const other = { ...MEMBER, [clusterHeaders.member]: 'm2' };
    stream.socket.write(senderFrame(Object.entries(other).flat()));
    assert.equal(await stream.next(), 'closed 400 a stream belongs to one member');
  });
});

test('garbage and frames that are too long end the stream, with a reason that is counted', async () => {
  const cases = [
    { bytes: frameOf(77, 'x'), reason: 'a frame of kind 77' },
    { bytes: Buffer.from([0, 0, 0, 0, 2]), reason: 'a frame of 0 bytes' },
    { bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'), reason: 'a frame of 542393671 bytes' },
    { bytes: frameOf(messages, Buffer.alloc(2000)), reason: 'a frame of 2001 bytes' },
    { bytes: frameOf(messages, ''), reason: 'no message' },
    { bytes: frameOf(request, '12345'), reason: 'a frame is too short' },
    { bytes: frameOf(sender, 'x'), reason: 'a sender is a list of headers' },
  ];
  await withServer(
    async (server) => {
      for (const { bytes, reason } of cases) {
        await using stream = await opened(server);
        stream.socket.write(bytes);
        assert.equal(await stream.next(), `closed 400 ${reason}`);
        assert.equal(await stream.next(), 'end');
        assert.equal(server.streams.lastReason, reason);
      }
      assert.equal(server.streams.refused, cases.length);
    },
    { bodyBytesMax: 1000 },
  );
});

test('a fault of the service ends the stream and is told to the node', async () => {
  const errors: Error[] = [];
  await withServer(
    async (server, service) => {
      await using stream = await opened(server);
      service.refusal = new Error('a bug');
      stream.send(messages, 'x');
      assert.equal(await stream.next(), 'closed 500 a bug');
      assert.deepEqual(errors, [service.refusal]);
    },
    { onError: (error) => errors.push(error) },
  );
});

test('a newer stream of a member takes the place of the one before', async () => {
  await withServer(async (server) => {
    await using first = await opened(server);
    await using control = await opened(server, MEMBER, { lane: 'control' });
    await using second = await opened(server);
    assert.equal(await first.next(), 'end');
    second.send(messages, 'x');
    control.send(messages, 'x');
    assert.equal(await second.next(), 'received 1');
    assert.equal(await control.next(), 'received 1');
    assert.equal(server.streams.open, 2);
  });
});

test('a server that closes ends its streams', async () => {
  const server = await openClusterServer({ host: '127.0.0.1', port: 0 }, new NotingService());
  await using stream = await opened(server);
  await server.close();
  assert.equal(await stream.next(), 'end');
});

test('a member that takes no answers is not read from beyond a bound', async () => {
  const MEBIBYTE = 1024 * 1024;
  await withServer(async (server, service) => {
    let asked = 0;
    service.run = () => {
      asked += 1;
      return Promise.resolve(Buffer.alloc(8 * MEBIBYTE));
    };
    await using stream = await opened(server, MEMBER, { lane: 'reads' });
    stream.socket.pause();
    let known = -1;
    // Until nothing is begun any more.
    for (let id = 1; id <= 40; id += 1) {
      stream.request(id, 0, 'x'.repeat(1000));
      for (let i = 0; i < 20; i += 1) await turn();
    }
    while (known !== asked) {
      known = asked;
      for (let i = 0; i < 100; i += 1) await turn();
    }
    assert(asked >= 8 && asked < 40, `${String(asked)} requests were begun`);
    stream.socket.resume();
    const answers = new Set<string>();
    while (answers.size < 40) {
      const said = await stream.next();
      if (said.startsWith('answer')) answers.add(said.split(' ')[1] ?? '');
    }
  });
});
