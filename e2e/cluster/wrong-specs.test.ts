/**
 * The API server itself refuses what cannot be, in words that say what to do. Needs nothing but an API server; the
 * resource definition is applied for the time of the test where it is not there.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { CommandError } from './testing/command.ts';
import { Kubernetes, whyNoKubernetes } from './testing/kubernetes.ts';
import { type WrongSpec, wrongSpecs } from './wrong-specs.ts';

const definition = join(import.meta.dirname, '..', '..', 'crds', 'sierradb.io_sierraclusters.yaml');
describe('the API server', { skip: whyNoKubernetes() ?? false }, () => {
  const namespace = `wrong-specs-${randomUUID().slice(0, 8)}`;
  const name = 'sierraclusters.sierradb.io';
  let kubernetes: Kubernetes;
  let isOurs = false;

  before(async () => {
    kubernetes = await Kubernetes.open();
    isOurs = (await kubernetes.find(['crd', name])) === null;
    if (isOurs) {
      await kubernetes.kubectl(['apply', '--server-side', '-f', definition]);
      await kubernetes.kubectl(['wait', '--for=condition=Established', `crd/${name}`]);
    }
    await kubernetes.kubectl(['create', 'namespace', namespace]);
  });

  after(async () => {
    await kubernetes.kubectl(['delete', 'namespace', namespace, '--wait=false']);
    // Helm does not take over what it has not made.
    if (isOurs) await kubernetes.kubectl(['delete', 'crd', name]);
  });

  const clusterOf = (name: string, spec: object): object => ({
    ...{ apiVersion: 'sierradb.io/v1alpha1', kind: 'SierraCluster', metadata: { name } },
    // What is there before is there for the API server only: no operator shall make pods of it.
    spec: { paused: true, ...spec },
  });

  const refusalOf = async ({ before: old, spec, ...wrong }: WrongSpec): Promise<string> => {
    const cluster = wrong.name ?? `wrong-${randomUUID().slice(0, 8)}`;
    if (old !== undefined) await kubernetes.apply([clusterOf(cluster, old)], namespace);
    try {
      // Whoever changes something leaves the rest as it was.
      await kubernetes.apply([clusterOf(cluster, { ...old, ...spec })], namespace);
    } catch (error) {
      if (error instanceof CommandError) return error.stderr;
      throw error;
    }
    return 'accepted';
  };

  for (const wrong of wrongSpecs) {
    it(`refuses ${wrong.title}`, async () => {
      assert.match((await refusalOf(wrong)).replaceAll('\n', ' '), wrong.says);
    });
  }

  it('fills in what was left out, and accepts it', async () => {
    await kubernetes.apply([clusterOf('right', {})], namespace);
    const right = await kubernetes.json<{ readonly spec: object }>([
      ...['-n', namespace, 'get', 'sdb', 'right'],
    ]);
    assert.partialDeepStrictEqual(right.spec, {
      nodes: 3,
      buckets: { count: 32, partitions: 256 },
      storage: { size: '10Gi', retention: { whenDeleted: 'Retain', whenScaled: 'Delete' } },
      disruption: { podDisruptionBudget: true, terminationGracePeriodSeconds: 60 },
    });
  });

  it('lets storage grow, and nodes and factor change', async () => {
    await kubernetes.apply([clusterOf('grows', { storage: { size: '1Gi' } })], namespace);
    const larger = { nodes: 5, replication: { factor: 5 }, storage: { size: '1025Mi' } };
    await kubernetes.apply([clusterOf('grows', larger)], namespace);
    await kubernetes.kubectl(['-n', namespace, 'scale', 'sdb/grows', '--replicas=6']);
  });
});
