/** Pods, claims and machines go, under load: what was acknowledged stays, and the cluster becomes whole by itself. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { seed } from '../process/testing/fault-test.ts';
import { READY_MS, until } from './testing/kubernetes.ts';
import { scenario } from './testing/scenario.ts';

/** Of a machine, after which Kubernetes says that it is not ready, and a little more. */
const SILENCE_MS = 90_000;

describe(`lost pods and machines, seed ${seed}`, () => {
  scenario('a leader is killed', {}, async (world, t) => {
    await using load = await world.startLoad(seededRandom(seed));
    await load.acknowledged(200);
    const { metadata } = await world.leader();
    // As kernels kill; elsewhere Kubernetes asks it first, however little time it gives.
    await world.kubernetes.kubox?.killPod(metadata.uid);
    const kill = ['--grace-period=0', '--force', '--wait=false'];
    await world.kubectl('delete', 'pod', metadata.name, ...kill);
    await load.acknowledged(200);
    await world.untilReplaced(metadata.name, metadata.uid);
    await world.untilReady();
    t.diagnostic(load.describe());
    await world.settle(load);
  });

  scenario('a pod is deleted with its claim', {}, async (world, t) => {
    await using load = await world.startLoad(seededRandom(seed));
    await load.acknowledged(200);
    const { metadata } = await world.leader();
    const before = await world.resource();
    const lost = before.status?.members?.find(({ pod }) => pod === metadata.name)?.id;
    assert.ok(lost !== undefined, 'status names the member of every pod');
    await world.kubectl('delete', 'pvc', `data-${metadata.name}`, '--wait=false');
    await world.kubectl('delete', 'pod', metadata.name, '--wait=false');
    await load.acknowledged(100);
    await world.untilReplaced(metadata.name, metadata.uid);
    await until('another member in its place', READY_MS, async () => {
      const { status } = await world.resource();
      const member = status?.members?.find(({ pod }) => pod === metadata.name);
      const isNew = member !== undefined && member.id !== lost && member.state === 'Active';
      return isNew && status?.assignment?.removed.includes(lost) === true;
    });
    await world.untilReady();
    await load.acknowledged(100);
    t.diagnostic(load.describe());
    await world.settle(load);
  });

  scenario('a machine is lost and comes back', { breaksMachines: true }, async (world, t) => {
    const { kubox } = world.kubernetes;
    await using load = await world.startLoad(seededRandom(seed));
    await load.acknowledged(200);
    // Machine 1 has the API server beside it.
    const victim = await until('a pod on another machine', READY_MS, async () => {
      const pods = await world.pods();
      return pods.find(({ spec }) => spec.nodeName !== 'node-1') ?? null;
    });
    const index = Number(/\d+$/.exec(victim.spec.nodeName ?? '')?.[0]);
    await kubox!.stopNode(index);
    try {
      await load.acknowledged(300);
      await until('a cluster that says what it lacks', SILENCE_MS, async () => {
        const { status } = await world.resource();
        const degraded = status?.conditions?.find(({ type }) => type === 'Degraded');
        const available = status?.conditions?.find(({ type }) => type === 'Available');
        return degraded?.status === 'True' && available?.status === 'True';
      });
    } finally {
      await kubox!.startNode(index);
    }
    await world.untilNodes(3);
    await load.acknowledged(100);
    t.diagnostic(load.describe());
    await world.settle(load);
  });
});
