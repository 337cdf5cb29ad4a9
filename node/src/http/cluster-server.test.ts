import assert from 'node:assert/strict';
import test from 'node:test';

import type {
  AssignmentUpdate,
  DrainStatus,
  NodeStatus,
} from '../../../common/cluster-contract.ts';
import { clusterHeaders, clusterPaths } from '../../../common/cluster-contract.ts';
import type { Assignment } from '../../../common/assignment.ts';
import { ClusterRefusal, type MemberService, type Sender } from '../cluster/types.ts';
import { type ClusterServerOptions, openClusterServer } from './cluster-server.ts';

const MEMBER = {
  [clusterHeaders.member]: 'm1',
  [clusterHeaders.cluster]: 'c1',
  [clusterHeaders.boot]: '3',
  [clusterHeaders.counts]: '4/32',
};
const OCTETS = { 'content-type': 'application/octet-stream' };
const STATUS = { member: 'm0', index: 0, buckets: [] } as unknown as NodeStatus;

const DRAINED = { member: 'm0', endsInMs: 1000, leading: [], blocked: [], isSafeToStop: true };

/** Notes what it is asked. */
class NotingService implements MemberService {
  readonly senders: Sender[] = [];
  readonly batches: Buffer[] = [];
  readonly updates: AssignmentUpdate[] = [];
  readonly reads: number[][] = [];
  refusal: Error | null = null;
  drains = 0;

  admit(sender: Sender): void {
    this.senders.push(sender);
    if (this.refusal !== null) throw this.refusal;
  }
  status(): NodeStatus {
    return STATUS;
  }
  currentAssignment(): Assignment | null {
    return this.updates.at(-1)?.assignment ?? null;
  }
  putAssignment(update: AssignmentUpdate): Promise<void> {
    if (update.replaces > 0) return Promise.reject(new ClusterRefusal('another one is in force'));
    this.updates.push(update);
    return Promise.resolve();
  }
  drain(): Promise<DrainStatus> {
    this.drains += 1;
    return this.refusal === null ? Promise.resolve(DRAINED) : Promise.reject(this.refusal);
  }
  endDrain(): void {
    this.drains = 0;
  }
  receive(batch: Buffer): void {
    if (batch.length === 0) throw new RangeError('no message');
    this.batches.push(batch);
  }
  runCommands(bucket: number, body: Buffer): Promise<Buffer> {
    return Promise.resolve(Buffer.concat([Buffer.from(`${String(bucket)}:`), body]));
  }
  segments(): { segment: number; bytes: number }[] {
    return [{ segment: 0, bytes: 100 }];
  }
  readSegment(bucket: number, segment: number, from: number, to: number): Promise<Buffer> {
    this.reads.push([bucket, segment, from, to]);
    return Promise.resolve(Buffer.alloc(to - from, 'x'));
  }
}

type Ask = (path: string, init?: RequestInit) => Promise<Response>;

async function withServer(
  run: (ask: Ask, service: NotingService) => Promise<void>,
  options: Partial<ClusterServerOptions> = {},
): Promise<void> {
  const service = new NotingService();
  await using server = await openClusterServer({ host: '127.0.0.1', port: 0, ...options }, service);
  const ask: Ask = (path, init) => fetch(`http://127.0.0.1:${String(server.port)}${path}`, init);
  await run(ask, service);
}

const post = (headers: Record<string, string>, body: string | Buffer): RequestInit => ({
  method: 'POST',
  headers: { ...OCTETS, ...headers },
  body: new Uint8Array(Buffer.from(body)),
});

async function assertRefused(response: Response, status: number, reason: string): Promise<void> {
  assert.equal(response.status, status);
  assert.deepEqual(await response.json(), { reason });
}

test('a batch of a member reaches the service, its sender first', async () => {
  await withServer(async (ask, service) => {
    const response = await ask(clusterPaths.raft, post(MEMBER, 'a batch'));
    assert.equal(response.status, 204);
    assert.deepEqual(service.senders, [
      { member: 'm1', cluster: 'c1', boot: 3, bucketCount: 4, partitionCount: 32 },
    ]);
    assert.deepEqual(service.batches, [Buffer.from('a batch')]);
    await assertRefused(await ask(clusterPaths.raft, post(MEMBER, '')), 400, 'no message');
  });
});

test('who is not admitted gets nothing read or done', async () => {
  await withServer(async (ask, service) => {
    service.refusal = new ClusterRefusal('a rolled-back disk');
    const reason = 'a rolled-back disk';
    await assertRefused(await ask(clusterPaths.raft, post(MEMBER, 'x')), 409, reason);
    await assertRefused(await ask(clusterPaths.segments(0), { headers: MEMBER }), 409, reason);
    assert.deepEqual([service.batches, service.reads], [[], []]);
  });
});

test('what is for members only asks who it is', async () => {
  await withServer(async (ask) => {
    const only = 'only members may ask for this';
    await assertRefused(await ask(clusterPaths.raft, post({}, 'x')), 400, only);
    await assertRefused(await ask(clusterPaths.commands(0), post({}, 'x')), 400, only);
    await assertRefused(await ask(clusterPaths.segment(0, 0)), 400, only);
    const { [clusterHeaders.cluster]: _, ...forming } = MEMBER;
    const forMembers = 'this is for members of a cluster';
    await assertRefused(await ask(clusterPaths.raft, post(forming, 'x')), 409, forMembers);
    assert.equal((await ask(clusterPaths.status, { headers: forming })).status, 200);
    const counts = { ...MEMBER, [clusterHeaders.counts]: 'many' };
    await assertRefused(
      await ask(clusterPaths.raft, post(counts, 'x')),
      400,
      'a member says who it is',
    );
  });
});

test('without the secret nothing is answered, not even to operators', async () => {
  await withServer(
    async (ask, service) => {
      const reason = 'the secret of the cluster is not this one';
      await assertRefused(await ask(clusterPaths.status), 401, reason);
      const wrong = { authorization: 'Bearer wrong' };
      await assertRefused(
        await ask(clusterPaths.raft, post({ ...MEMBER, ...wrong }, 'x')),
        401,
        reason,
      );
      assert.deepEqual(service.senders, []);
      const right = { authorization: 'Bearer right' };
      assert.equal((await ask(clusterPaths.status, { headers: right })).status, 200);
      assert.equal((await ask(clusterPaths.raft, post({ ...MEMBER, ...right }, 'x'))).status, 204);
    },
    { secret: 'right' },
  );
});

test('operators read the status and put assignments', async () => {
  await withServer(async (ask, service) => {
    assert.deepEqual(await (await ask(clusterPaths.status)).json(), STATUS);
    const put = (replaces: number): Promise<Response> =>
      ask(clusterPaths.assignment, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ replaces, assignment: {} }),
      });
    assert.equal((await put(0)).status, 204);
    assert.deepEqual(service.updates, [{ replaces: 0, assignment: {} }]);
    await assertRefused(await put(1), 409, 'another one is in force');
  });
});

test('a drain is asked for, asked for again, and ended', async () => {
  await withServer(async (ask, service) => {
    for (const drains of [1, 2]) {
      const answer = await ask(clusterPaths.drain, { method: 'POST' });
      assert.deepEqual([answer.status, await answer.json()], [200, DRAINED]);
      assert.equal(service.drains, drains);
    }
    for (let i = 0; i < 2; i += 1) {
      assert.equal((await ask(clusterPaths.drain, { method: 'DELETE' })).status, 204);
      assert.equal(service.drains, 0);
    }
    service.refusal = new ClusterRefusal('still forming');
    await assertRefused(await ask(clusterPaths.drain, { method: 'POST' }), 409, 'still forming');
  });
});

test('a member that drains says so', async () => {
  await withServer(async (ask, service) => {
    const draining = { ...MEMBER, [clusterHeaders.draining]: '1' };
    assert.equal((await ask(clusterPaths.raft, post(draining, 'x'))).status, 204);
    assert.equal(service.senders[0]?.isDraining, true);
  });
});

test('commands and segments', async () => {
  await withServer(async (ask, service) => {
    const ran = await ask(clusterPaths.commands(3), post(MEMBER, 'run'));
    assert.equal(await ran.text(), '3:run');
    const headers = MEMBER;
    const listed = await ask(clusterPaths.segments(3), { headers });
    assert.deepEqual(await listed.json(), [{ segment: 0, bytes: 100 }]);
    const path = clusterPaths.segment(3, 7);
    const part = await ask(path, { headers: { ...headers, range: 'bytes=10-19' } });
    assert.equal(part.status, 206);
    assert.equal((await part.arrayBuffer()).byteLength, 10);
    assert.deepEqual(service.reads, [[3, 7, 10, 20]]);
    for (const range of ['bytes=10-', 'bytes=9-1', 'bytes=a-b', undefined]) {
      const wrong = range === undefined ? headers : { ...headers, range };
      assert.equal((await ask(path, { headers: wrong })).status, 416);
    }
  });
});

test('a body over the limit is refused, a fault of the service is told to the node', async () => {
  const errors: Error[] = [];
  await withServer(
    async (ask, service) => {
      assert.equal((await ask(clusterPaths.raft, post(MEMBER, Buffer.alloc(2000)))).status, 413);
      service.refusal = new Error('a bug');
      assert.equal((await ask(clusterPaths.raft, post(MEMBER, 'x'))).status, 500);
      assert.deepEqual(errors, [service.refusal]);
    },
    { bodyBytesMax: 1000, onError: (error) => errors.push(error) },
  );
});
