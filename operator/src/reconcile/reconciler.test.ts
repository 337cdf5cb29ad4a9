/** The loop as a whole, with the real client, against fake nodes under a fake API server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { SierraClusterSpec } from '../api/sierra-cluster.ts';
import {
  persistentVolumeClaims,
  pods,
  secrets,
  services,
  sierraClusters,
  storageClasses,
} from '../kube/index.ts';
import type { ClaimObject } from './objects.ts';
import { FakeKubernetes } from './testing/fake-kubernetes.ts';

const namespace = 'shop';
const podsOf = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `orders-${String(index)}`);

/** Everything that holds in a cluster that has settled. */
async function check(kubernetes: FakeKubernetes, count: number): Promise<void> {
  const { status, spec } = kubernetes.cluster;
  assert.deepEqual(kubernetes.podNames, podsOf(count));
  assert.equal(status?.phase, 'Ready');
  assert.equal(status.plan, undefined);
  assert.equal(status.nodes?.summary, `${String(count)}/${String(spec.nodes ?? 3)}`);
  const { members = [], buckets = [] } = status.assignment ?? {};
  assert.deepEqual(
    members.map(({ index }) => index).sort(),
    Array.from({ length: count }, (_, index) => index),
  );
  for (const { replicas } of buckets) assert.equal(replicas.length, Math.min(count, 3));
  kubernetes.server.requests.length = 0;
  await kubernetes.turn();
  assert.deepEqual(kubernetes.server.writes, [], 'converged means not one write');
}

async function settled(spec: SierraClusterSpec): Promise<FakeKubernetes> {
  const kubernetes = await FakeKubernetes.open(spec);
  await kubernetes.settle();
  return kubernetes;
}

describe('a cluster', () => {
  it('is made, and then left alone', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    await check(kubernetes, 3);
    assert.equal(kubernetes.cluster.status?.assignment?.version, 1);
    kubernetes.restartOperator();
    await kubernetes.settle();
    await check(kubernetes, 3);
  });

  it('of one node is one', async () => {
    await using kubernetes = await settled({ nodes: 1 });
    await check(kubernetes, 1);
  });

  it('grows, and shrinks again with its volumes', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    kubernetes.change({ nodes: 5 });
    await kubernetes.settle();
    await check(kubernetes, 5);
    kubernetes.change({ nodes: 3 });
    await kubernetes.settle();
    await check(kubernetes, 3);
    assert.deepEqual(
      kubernetes.claimNames,
      podsOf(3).map((pod) => `data-${pod}`),
    );
  });

  it('has its pods replaced one by one', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    const uids = kubernetes.podNames.map(
      (name) => kubernetes.server.get(pods, { namespace, name })?.metadata.uid,
    );
    kubernetes.change({ nodes: 3, image: 'sierradb:2' });
    await kubernetes.settle();
    await check(kubernetes, 3);
    assert.equal(kubernetes.cluster.status?.image?.current, 'sierradb:2');
    for (const name of podsOf(3)) {
      const uid = kubernetes.server.get(pods, { namespace, name })?.metadata.uid;
      assert(uid !== undefined && !uid.includes('undefined') && !uids.includes(uid));
    }
  });

  it('gets a new member for a lost disk', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    const before = kubernetes.cluster.status?.assignment?.members.find(({ index }) => index === 1);
    kubernetes.server.remove(persistentVolumeClaims, { namespace, name: 'data-orders-1' });
    kubernetes.server.remove(pods, { namespace, name: 'orders-1' });
    await kubernetes.settle();
    await check(kubernetes, 3);
    const { members = [], removed = [] } = kubernetes.cluster.status?.assignment ?? {};
    assert(members.every(({ id }) => id !== before?.id));
    assert.deepEqual(removed, [before?.id]);
  });

  it('goes on where its status is lost, in a new epoch', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    kubernetes.change({ nodes: 4 });
    await kubernetes.settle();
    const { assignment } = kubernetes.cluster.status ?? {};
    const { status: _lost, ...rest } = kubernetes.cluster;
    kubernetes.server.put(sierraClusters, rest);
    await kubernetes.settle();
    await check(kubernetes, 4);
    const rebuilt = kubernetes.cluster.status?.assignment;
    assert.equal(rebuilt?.clusterId, assignment?.clusterId);
    assert.equal(rebuilt?.epoch, (assignment?.epoch ?? 0) + 1);
  });

  it('is left as it is while it is paused, or its spec is refused', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    kubernetes.change({ nodes: 4, paused: true });
    await kubernetes.turn();
    await kubernetes.turn();
    assert.equal(kubernetes.podNames.length, 3);
    assert.equal(kubernetes.cluster.status?.phase, 'Paused');
    kubernetes.change({ nodes: 4, buckets: { count: 8, partitions: 16 } });
    await kubernetes.turn();
    await kubernetes.turn();
    assert.equal(kubernetes.podNames.length, 3);
    const accepted = kubernetes.cluster.status.conditions?.find(
      ({ type }) => type === 'SpecAccepted',
    );
    assert.equal(accepted?.status, 'False');
    kubernetes.change({ nodes: 4 });
    await kubernetes.settle();
    await check(kubernetes, 4);
  });

  it('is no trouble when it goes while it is looked at, alone or with its namespace', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    kubernetes.change({ nodes: 4 });
    const reason = 'Forbidden';
    kubernetes.server.faultOf = ({ method }) => (method === 'GET' ? null : { code: 403, reason });
    assert(await kubernetes.turn());
    kubernetes.server.faultOf = ({ method }) => {
      if (method === 'GET') return null;
      kubernetes.server.remove(sierraClusters, { namespace, name: 'orders' });
      return { code: 404, reason: 'NotFound' };
    };
    assert.equal(await kubernetes.turn(), null);
    kubernetes.server.faultOf = () => null;
    assert.equal(await kubernetes.turn(), null);
  });

  it('keeps the secret that it was made with, also where it is another one of the same name', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    const [secret, ...others] = kubernetes.server.objects(secrets);
    assert(secret !== undefined && others.length === 0);
    assert.equal(secret.metadata.name, 'orders-cluster');
    const own = secret.metadata.ownerReferences ?? [];
    const [owner] = own;
    assert(owner !== undefined);
    kubernetes.server.put(secrets, {
      ...secret,
      metadata: { ...secret.metadata, ownerReferences: [{ ...owner, uid: 'of-the-one-before' }] },
    });
    await kubernetes.settle();
    assert.deepEqual(kubernetes.server.objects(secrets)[0]?.metadata.ownerReferences, own);
    await check(kubernetes, 3);
  });

  it('owns its claims only where they are to go with it, and its StatefulSet never does', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    const ownersOf = (): unknown[] =>
      kubernetes.server
        .objects(persistentVolumeClaims)
        .flatMap(({ metadata }) => metadata.ownerReferences?.map(({ kind }) => kind) ?? []);
    assert.deepEqual(ownersOf(), []);
    const storage = { retention: { whenDeleted: 'Delete' } } as const;
    kubernetes.change({ nodes: 3, storage });
    await kubernetes.settle();
    assert.deepEqual(ownersOf(), ['SierraCluster', 'SierraCluster', 'SierraCluster']);
    await check(kubernetes, 3);
    kubernetes.change({ nodes: 3 });
    await kubernetes.settle();
    assert.deepEqual(ownersOf(), []);
  });

  it('takes nothing over that is somebody else’s, and says so', async () => {
    await using kubernetes = await FakeKubernetes.open({ nodes: 3 });
    const theirs = { apiVersion: 'v1', kind: 'Service', metadata: { namespace, name: 'orders' } };
    kubernetes.server.put(services, theirs);
    assert.match(String(await kubernetes.turn()), /Service orders is there already/);
    assert.match(kubernetes.cluster.status?.plan?.waitsFor ?? '', /belongs to somebody else/);
    assert.match(kubernetes.told.join(), /LookFailed: Service orders is there already/);
    kubernetes.server.remove(services, { namespace, name: 'orders' });
    await kubernetes.settle();
    await check(kubernetes, 3);
  });

  it('has pods that serve evicted, so that the disruption budget counts them', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    kubernetes.server.requests.length = 0;
    kubernetes.change({ nodes: 3, image: 'sierradb:2' });
    await kubernetes.settle();
    const gone = kubernetes.server.writes.filter((write) => write.includes('/pods/orders-'));
    const path = `POST /api/v1/namespaces/${namespace}/pods`;
    assert.deepEqual(
      gone.sort(),
      podsOf(3).map((pod) => `${path}/${pod}/eviction`),
    );
  });

  it('grows its volumes where a claim is refused as where it is not: nothing else waits', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    kubernetes.server.faultOf = ({ method, path }) =>
      method === 'PATCH' && path.includes('persistentvolumeclaims')
        ? { code: 403, reason: 'Forbidden' }
        : null;
    kubernetes.server.put(storageClasses, {
      ...{ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'standard' } },
      ...{ allowVolumeExpansion: true },
    });
    kubernetes.change({ nodes: 3, storage: { size: '20Gi' }, image: 'sierradb:2' });
    for (let turn = 0; turn < 60; turn += 1) await kubernetes.turn();
    assert.match(kubernetes.told.join(), /VolumeNotGrown/);
    assert.equal(kubernetes.cluster.status?.image?.current, 'sierradb:2');
    kubernetes.server.faultOf = () => null;
    await kubernetes.settle();
    const sizes = kubernetes.server
      .objects<ClaimObject>(persistentVolumeClaims)
      .map(({ spec }) => spec?.resources?.requests?.storage);
    assert.deepEqual(sizes, ['20Gi', '20Gi', '20Gi']);
    await check(kubernetes, 3);
  });

  it('leaves a pod alone that has just become unready', async () => {
    await using kubernetes = await settled({ nodes: 3 });
    kubernetes.badImages.add('sierradb:bad');
    kubernetes.change({
      nodes: 3,
      image: 'sierradb:bad',
      updates: { progressDeadlineSeconds: 30 },
    });
    for (let turn = 0; turn < 60; turn += 1) await kubernetes.turn();
    const { failed = [] } = kubernetes.cluster.status?.rollout ?? {};
    assert.equal(failed.length, 1, 'one pod is gone, and the others serve');
    const [well] = podsOf(3).filter((pod) => !failed.includes(pod));
    assert(well !== undefined);
    const uid = kubernetes.server.get(pods, { namespace, name: well })?.metadata.uid;
    kubernetes.restartContainer(well);
    await kubernetes.turn();
    await kubernetes.turn();
    assert.equal(kubernetes.server.get(pods, { namespace, name: well })?.metadata.uid, uid);
  });
});

/** Everything that may go wrong while all of this is done. */
async function story(kubernetes: FakeKubernetes): Promise<void> {
  await kubernetes.settle();
  kubernetes.change({ nodes: 4 });
  await kubernetes.settle();
  kubernetes.change({ nodes: 3, image: 'sierradb:2' });
  await kubernetes.settle();
}

/** All calls one by one take half a minute: they are for the long suites. */
const stride = Number(process.env['SEEDS'] ?? '0') >= 100 ? 1 : 7;
const random = Number(process.env['SEED'] ?? Date.now() % 1000);

describe(`an operator that dies at a call, seed ${String(random)}`, () => {
  const isWrite = (method: string): boolean => method !== 'GET';

  it('before or after it took effect, goes on where it was', async () => {
    let writes = Infinity;
    for (let at = 1 + (random % stride); at <= writes; at += stride) {
      for (const takesEffect of [false, true]) {
        await using kubernetes = await FakeKubernetes.open({ nodes: 3 });
        let seen = 0;
        kubernetes.server.faultOf = ({ method }) => {
          if (!isWrite(method)) return null;
          seen += 1;
          if (seen !== at) return null;
          kubernetes.restartOperator();
          return { code: null, takesEffect };
        };
        await story(kubernetes);
        await check(kubernetes, 3);
        writes = Math.min(writes, seen);
      }
    }
    assert(writes > 20, `${String(writes)} writes`);
  });
});
