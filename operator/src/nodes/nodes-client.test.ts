import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';

import { firstAssignment } from '../../../common/assignment.ts';
import type { DrainStatus, NodeStatus } from '../../../common/cluster-contract.ts';
import { NodeError, NodesClient } from './index.ts';

const SECRET = 'between us';

const members = [{ id: 'm', index: 0, address: 'a:1' }];
const assignment = firstAssignment('c', { bucketCount: 2, partitionCount: 4, factor: 1 }, members);
const status: NodeStatus = {
  ...{ member: 'm', index: 0, cluster: null, version: '1', boot: 1, state: 'forming' },
  ...{ assignment: null, bucketCount: 2, partitionCount: 4, buckets: [] },
};
const drained: DrainStatus = {
  ...{ member: 'm', endsInMs: 300_000, leading: [], blocked: [], isSafeToStop: true },
};

interface Heard {
  readonly line: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** A node, as far as a request can tell. */
class FakeNode implements AsyncDisposable {
  readonly heard: Heard[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  static async start(answering: Answering): Promise<FakeNode> {
    const node = new FakeNode(answering);
    await once(node.#server.listen(0, '127.0.0.1'), 'listening');
    return node;
  }

  private constructor(answering: Answering) {
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        const body = Buffer.concat(pieces).toString();
        this.heard.push({ line: `${method} ${url}`, headers, body });
        answering(request, response);
      });
    });
    this.#server.on('connection', (socket) => this.sockets.add(socket));
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), 'close');
  }
}

const answers =
  (code: number, body?: unknown): Answering =>
  (_request, response) => {
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };

async function refused(asking: Promise<unknown>): Promise<NodeError> {
  const outcome = await asking.then(
    () => assert.fail('it was answered'),
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof NodeError);
  return outcome;
}

describe('the nodes', () => {
  it('are asked with the secret, as nobody’s member', async () => {
    await using node = await FakeNode.start(answers(200, status));
    await using client = new NodesClient();
    assert.deepEqual(await client.status(node.address, SECRET), status);
    const [heard] = node.heard;
    assert.equal(heard?.line, 'GET /v1/status');
    assert.equal(heard.headers.authorization, `Bearer ${SECRET}`);
    const own = Object.keys(heard.headers).filter((name) => name.startsWith('x-sierradb'));
    assert.deepEqual(own, []);
  });

  it('are asked and told of assignments', async () => {
    await using node = await FakeNode.start((request, response) => {
      answers(request.method === 'PUT' ? 204 : 200, assignment)(request, response);
    });
    await using client = new NodesClient();
    assert.deepEqual(await client.assignment(node.address, SECRET), assignment);
    const update = { replaces: 0, assignment };
    await client.putAssignment(node.address, SECRET, update);
    const put = node.heard[1];
    assert.equal(put?.line, 'PUT /v1/assignment');
    assert.equal(put.headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(put.body), update);
  });

  it('that are in no cluster have no assignment', async () => {
    const reason = 'this node is in no cluster yet';
    await using node = await FakeNode.start(answers(404, { reason }));
    await using client = new NodesClient();
    assert.equal(await client.assignment(node.address, SECRET), null);
  });

  it('drain, and end it', async () => {
    await using node = await FakeNode.start((request, response) => {
      answers(request.method === 'POST' ? 200 : 204, drained)(request, response);
    });
    await using client = new NodesClient();
    assert.deepEqual(await client.drain(node.address, SECRET), drained);
    await client.endDrain(node.address, SECRET);
    assert.deepEqual(
      node.heard.map(({ line }) => line),
      ['POST /v1/drain', 'DELETE /v1/drain'],
    );
    // Without a body there is no type of one: it would be refused.
    assert.equal(node.heard[0]?.headers['content-type'], undefined);
  });

  it('are asked over connections that stay', async () => {
    await using node = await FakeNode.start(answers(200, status));
    await using client = new NodesClient();
    for (let i = 0; i < 6; i += 1) await client.status(node.address, SECRET);
    assert.ok(node.sockets.size <= 2, `${node.sockets.size} connections`);
  });
});

describe('a request fails', () => {
  it('with the reason that a node gives', async () => {
    const reason = 'version 4 is newer';
    await using node = await FakeNode.start(answers(409, { reason }));
    await using client = new NodesClient();
    const update = { replaces: 2, assignment };
    const error = await refused(client.putAssignment(node.address, SECRET, update));
    assert.deepEqual([error.status, error.message], [409, reason]);
  });

  it('with a status where there is no reason', async () => {
    await using node = await FakeNode.start(answers(502));
    await using client = new NodesClient();
    const error = await refused(client.status(node.address, SECRET));
    assert.deepEqual([error.status, error.message], [502, `${node.address} answers 502`]);
  });

  it('where nobody listens', async () => {
    const node = await FakeNode.start(answers(200));
    const { address } = node;
    await node[Symbol.asyncDispose]();
    await using client = new NodesClient();
    const error = await refused(client.status(address, SECRET));
    assert.equal(error.status, 0);
    assert.match(error.message, /^127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED/);
  });

  it('where the name is nobody’s', async () => {
    await using client = new NodesClient();
    const error = await refused(client.status('no-such-node.invalid:9190', SECRET));
    assert.equal(error.status, 0);
  });

  it('where no answer comes, and its connection is not used again', async () => {
    await using node = await FakeNode.start(() => undefined);
    await using client = new NodesClient({ readMs: 50 });
    const error = await refused(client.status(node.address, SECRET));
    assert.equal(error.status, 0);
    assert.match(error.message, /not within 50 ms$/);
    for (const socket of node.sockets) if (!socket.closed) await once(socket, 'close');
  });

  it('where an answer begins and never ends', async () => {
    await using node = await FakeNode.start((_request, response) => {
      response.writeHead(200);
      response.write('{"member":');
    });
    await using client = new NodesClient({ readMs: 50 });
    assert.equal((await refused(client.status(node.address, SECRET))).status, 0);
  });

  it('where the connection breaks', async () => {
    await using node = await FakeNode.start((request) => request.socket.destroy());
    await using client = new NodesClient();
    assert.equal((await refused(client.drain(node.address, SECRET))).status, 0);
  });

  it('where the client is closed', async () => {
    const heard = Promise.withResolvers<undefined>();
    await using node = await FakeNode.start(() => heard.resolve(undefined));
    const client = new NodesClient({ readMs: 60_000 });
    const asking = refused(client.status(node.address, SECRET));
    await heard.promise;
    await client.close();
    assert.equal((await asking).status, 0);
  });

  const strange: readonly unknown[] = [
    ...[null, [], 'text', {}, { ...status, member: '' }, { ...status, index: '0' }],
    ...[
      { ...status, buckets: {} },
      { ...status, buckets: [null] },
      { ...status, buckets: [{ bucket: 0 }] },
      { ...status, assignment: undefined },
    ],
  ];
  for (const body of strange) {
    it(`where the answer is ${JSON.stringify(body).slice(0, 40)}`, async () => {
      await using node = await FakeNode.start(answers(200, body));
      await using client = new NodesClient();
      const { message } = await refused(client.status(node.address, SECRET));
      assert.equal(message, 'this is no answer of a node');
    });
  }

  it('where the answer is no end of text', async () => {
    await using node = await FakeNode.start((_request, response) => {
      response.writeHead(200);
      response.end(Buffer.alloc(9 * 1024 * 1024, ' '));
    });
    await using client = new NodesClient({ readMs: 30_000 });
    const { message } = await refused(client.status(node.address, SECRET));
    assert.match(message, /answers more than a node does$/);
  });
});
