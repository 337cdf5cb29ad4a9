import assert from 'node:assert/strict';
import test from 'node:test';

import { clusterHeaders, clusterPaths } from '../../../common/cluster-contract.ts';
import { ClusterRefusal, UnknownMemberRefusal } from '../cluster/types.ts';
import { type ClusterServerOptions, openClusterServer } from './cluster-server.ts';
import { DRAINED, MEMBER, NotingService, SENDER, STATUS } from './testing/noting-service.ts';

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

async function assertRefused(response: Response, status: number, reason: string): Promise<void> {
  assert.equal(response.status, status);
  assert.deepEqual(await response.json(), { reason });
}

test('a sender is asked for before anything is read', async () => {
  await withServer(async (ask, service) => {
    assert.equal((await ask(clusterPaths.segments(0), { headers: MEMBER })).status, 200);
    assert.deepEqual(service.senders, [SENDER]);
    service.refusal = new ClusterRefusal('a rolled-back disk');
    const refused = await ask(clusterPaths.segment(0, 0), { headers: MEMBER });
    await assertRefused(refused, 409, 'a rolled-back disk');
    assert.deepEqual(service.reads, []);
  });
});

test('a member that is not known yet can be looked at, and bring what it is known by', async () => {
  await withServer(async (ask, service) => {
    const headers = { ...MEMBER, 'content-type': 'application/json' };
    const bring = (): Promise<Response> =>
      ask(clusterPaths.assignment, { method: 'PUT', headers, body: '{"replaces":0}' });
    service.refusal = new ClusterRefusal('it has left');
    await assertRefused(await ask(clusterPaths.status, { headers: MEMBER }), 409, 'it has left');
    await assertRefused(await bring(), 409, 'it has left');
    const reason = 'it is not in assignment 1';
    service.refusal = new UnknownMemberRefusal(reason);
    await assertRefused(await ask(clusterPaths.segments(0), { headers: MEMBER }), 409, reason);
    assert.equal((await ask(clusterPaths.status, { headers: MEMBER })).status, 200);
    service.refusal = null;
    const admit = service.admit.bind(service);
    service.admit = (sender) => {
      admit(sender);
      throw new UnknownMemberRefusal(reason);
    };
    assert.equal((await bring()).status, 204);
    assert.equal(service.updates.length, 1);
  });
});

test('what is for members only asks who it is', async () => {
  await withServer(async (ask) => {
    const only = 'only members may ask for this';
    await assertRefused(await ask(clusterPaths.segments(0)), 400, only);
    await assertRefused(await ask(clusterPaths.segment(0, 0)), 400, only);
    const { [clusterHeaders.cluster]: _, ...forming } = MEMBER;
    const forMembers = 'this is for members of a cluster';
    const asked = await ask(clusterPaths.segments(0), { headers: forming });
    await assertRefused(asked, 409, forMembers);
    assert.equal((await ask(clusterPaths.status, { headers: forming })).status, 200);
    const headers = { ...MEMBER, [clusterHeaders.counts]: 'many' };
    const counted = await ask(clusterPaths.segments(0), { headers });
    await assertRefused(counted, 400, 'a member says who it is');
  });
});

test('without the secret nothing is answered, not even to operators', async () => {
  await withServer(
    async (ask, service) => {
      const reason = 'the secret of the cluster is not this one';
      await assertRefused(await ask(clusterPaths.status), 401, reason);
      const wrong = { ...MEMBER, authorization: 'Bearer wrong' };
      await assertRefused(await ask(clusterPaths.segments(0), { headers: wrong }), 401, reason);
      assert.deepEqual(service.senders, []);
      const right = { authorization: 'Bearer right' };
      assert.equal((await ask(clusterPaths.status, { headers: right })).status, 200);
      const member = { ...MEMBER, ...right };
      assert.equal((await ask(clusterPaths.segments(0), { headers: member })).status, 200);
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
    const headers = { ...MEMBER, [clusterHeaders.draining]: '1' };
    assert.equal((await ask(clusterPaths.segments(0), { headers })).status, 200);
    assert.equal(service.senders[0]?.isDraining, true);
  });
});

test('segments', async () => {
  await withServer(async (ask, service) => {
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
      const body = JSON.stringify('x'.repeat(2000));
      const headers = { 'content-type': 'application/json' };
      const put = await ask(clusterPaths.assignment, { method: 'PUT', headers, body });
      assert.equal(put.status, 413);
      service.refusal = new Error('a bug');
      assert.equal((await ask(clusterPaths.segments(0), { headers: MEMBER })).status, 500);
      assert.deepEqual(errors, [service.refusal]);
    },
    { bodyBytesMax: 1000, onError: (error) => errors.push(error) },
  );
});
