/** What the operator makes, without an operator: pods of the real image, formed by an assignment that the test sends. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe } from 'node:test';

import { firstAssignment } from '../../common/assignment.ts';
import { type AssignmentUpdate, clusterPaths } from '../../common/cluster-contract.ts';
import { seededRandom } from '../../common/random.ts';
import { settledSpec } from '../../operator/src/api/sierra-cluster.ts';
import { childrenOf, ownerOf } from '../../operator/src/resources/index.ts';
import { nthPlace } from '../../operator/src/resources/names.ts';
import { seed } from '../process/testing/fault-test.ts';
import { installDefinitions, operatorImage } from './testing/operator.ts';
import { until } from './testing/kubernetes.ts';
import { scenario } from './testing/scenario.ts';
import { isReady, type Pod, type World } from './testing/world.ts';

const FORMED_MS = 60_000;

/** All that a cluster consists of; the resource itself is there to own them, and paused. */
async function applyChildren(world: World, nodes: number): Promise<void> {
  await world.apply();
  const resource = await world.resource();
  const spec = settledSpec(resource.spec, { image: operatorImage });
  const owner = ownerOf(resource);
  const children = childrenOf(owner, spec, {
    replicas: new Map([[world.name, nodes]]),
    ...{ secret: randomBytes(32).toString('hex'), podMonitors: false },
  });
  await world.kubernetes.apply(children.map(({ object }) => object));
}

async function form(world: World, pods: readonly Pod[]): Promise<void> {
  const { spec } = await world.resource();
  const { bucketCount, partitionCount, factor } = settledSpec(spec, { image: operatorImage });
  const statuses = await Promise.all(pods.map((pod) => world.nodeStatus(pod)));
  const members = statuses.map(({ member: id, index }) => {
    const { address } = nthPlace(world, [], index);
    return { id, index, address };
  });
  const counts = { bucketCount, partitionCount, factor };
  const assignment = firstAssignment(randomUUID(), counts, members);
  const update: AssignmentUpdate = { replaces: 0, assignment };
  for (const pod of pods) {
    const { status, body } = await world.ask(pod, 'PUT', clusterPaths.assignment, update);
    assert.equal(status, 204, body);
  }
}

describe(`storage nodes without an operator, seed ${seed}`, () => {
  scenario(
    'form, serve through the Service, and come back when a pod is deleted',
    { spec: { paused: true }, isApplied: false },
    async (world, t) => {
      await installDefinitions(world.kubernetes);
      const beganMs = performance.now();
      await applyChildren(world, 3);
      const pods = await until('three pods that wait', FORMED_MS, async () => {
        const found = await world.pods();
        const states = await Promise.all(found.map((pod) => world.nodeStatus(pod)));
        return states.length === 3 && states.every(({ state }) => state === 'forming') && found;
      });
      assert.ok(!pods.some(isReady), 'nobody sends clients to nodes that are in no cluster');
      const waitingMs = performance.now();
      await form(world, pods);
      await world.firstAppend(FORMED_MS);
      const figures = [waitingMs - beganMs, performance.now() - waitingMs];
      t.diagnostic(`pods wait after, and append later: ${figures.map(Math.round).join(', ')} ms`);
      await using load = await world.startLoad(seededRandom(seed));
      await load.acknowledged(100);
      for (const { metadata } of pods) {
        await world.kubectl('delete', 'pod', metadata.name, '--wait=false');
        await world.untilReplaced(metadata.name, metadata.uid);
        await load.acknowledged(50);
      }
      t.diagnostic(load.describe());
      await world.settle(load);
    },
  );
});
