import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { SierraClusterSpec } from '../api/sierra-cluster.ts';
import { revisionOf } from './index.ts';
import { annotations, childNames, nthPlace, placeAt } from './names.ts';
import {
  everything,
  find,
  owner,
  render,
  type RenderedPod,
  settle,
  statefulSetsIn,
  zoned,
} from './testing/rendered.ts';

describe('a pod', () => {
  const podOf = (spec: SierraClusterSpec): RenderedPod =>
    find(render(spec), 'StatefulSet').spec.template;

  it('fits the restricted profile of pod security', () => {
    for (const { spec: set } of [
      ...statefulSetsIn(render({})),
      ...statefulSetsIn(render(everything)),
    ]) {
      const pod = set.template.spec;
      assert.equal(pod.securityContext['runAsNonRoot'], true);
      assert.deepEqual(pod.securityContext['seccompProfile'], { type: 'RuntimeDefault' });
      for (const field of ['hostNetwork', 'hostPID', 'hostIPC'])
        assert.equal(pod[field], undefined);
      for (const volume of pod.volumes) {
        assert.ok('configMap' in volume || 'secret' in volume, JSON.stringify(volume));
      }
      for (const { securityContext, ports } of pod.containers) {
        assert.equal(securityContext['allowPrivilegeEscalation'], false);
        assert.equal(securityContext['readOnlyRootFilesystem'], true);
        assert.deepEqual(securityContext['capabilities'], { drop: ['ALL'] });
        assert.ok(ports.every((port) => port['hostPort'] === undefined));
      }
      assert.equal(pod['automountServiceAccountToken'], false);
    }
  });

  it('has only mounts that have a volume', () => {
    const { spec } = find(render({}), 'StatefulSet');
    const { volumes, containers } = spec.template.spec;
    const claims = spec.volumeClaimTemplates.map(({ metadata }) => metadata.name);
    const names = [...volumes.map(({ name }) => name), ...claims];
    const mounts = containers[0]!.volumeMounts.map(({ name }) => name);
    assert.deepEqual(mounts.toSorted(), names.toSorted());
  });

  it('keeps the labels that it is found by, whatever else it is given', () => {
    const labels = { 'sierradb.io/cluster': 'other', mine: 'x' };
    const { metadata } = podOf({ pod: { labels } });
    assert.equal(metadata.labels['sierradb.io/cluster'], 'orders');
    assert.equal(metadata.labels['mine'], 'x');
  });

  it('waits with its end for less than the grace period', () => {
    const preStop = (seconds: number): unknown =>
      podOf({ disruption: { terminationGracePeriodSeconds: seconds } }).spec.containers[0]!
        .lifecycle?.preStop.sleep.seconds;
    assert.deepEqual([preStop(60), preStop(4), preStop(1)], [5, 2, undefined]);
  });

  it('goes apart from the others, unless told otherwise', () => {
    const { affinity, topologySpreadConstraints } = podOf({}).spec;
    assert.ok('podAntiAffinity' in affinity);
    assert.equal(topologySpreadConstraints?.[0]?.['whenUnsatisfiable'], 'ScheduleAnyway');
    const other = podOf({ pod: { affinity: {}, topologySpreadConstraints: [] } }).spec;
    assert.deepEqual([other.affinity, other.topologySpreadConstraints], [{}, []]);
  });
});

describe('the StatefulSets', () => {
  it('select their own pods, and those of no other one', () => {
    const sets = statefulSetsIn(render(everything, zoned));
    assert.equal(sets.length, 2);
    for (const [at, { spec }] of sets.entries()) {
      for (const [key, value] of Object.entries(spec.selector.matchLabels)) {
        assert.equal(spec.template.metadata.labels[key], value);
      }
      const other = sets[1 - at]!.spec.template.metadata.labels;
      assert.ok(
        Object.entries(spec.selector.matchLabels).some(([key, value]) => other[key] !== value),
      );
      assert.equal(
        spec.template.spec.nodeSelector?.['topology.kubernetes.io/zone'],
        everything.zones?.[at],
      );
    }
  });

  it('have the names, ordinals and claims of names.ts', () => {
    const zones = everything.zones ?? [];
    const objects = render(everything, zoned);
    for (let n = 0; n < 5; n += 1) {
      const place = nthPlace(owner, zones, n);
      const { spec } = find(objects, 'StatefulSet', place.statefulSet);
      assert.ok(place.index >= spec.ordinals.start);
      assert.ok(place.index < spec.ordinals.start + spec.replicas);
      assert.equal(place.claim, `${spec.volumeClaimTemplates[0]!.metadata.name}-${place.pod}`);
      assert.ok(place.address.startsWith(`${place.pod}.${spec.serviceName}.shop.svc:`));
    }
    assert.equal(placeAt(owner, [], 2).statefulSet, find(render({}), 'StatefulSet').metadata.name);
  });

  it('name what is there', () => {
    const objects = render({}, { secret: 's' });
    const { spec } = find(objects, 'StatefulSet');
    find(objects, 'Service', spec.serviceName);
    find(objects, 'ServiceAccount', spec.template.spec.serviceAccountName);
    const [config, secret] = spec.template.spec.volumes;
    find(objects, 'ConfigMap', config?.configMap?.name);
    find(objects, 'Secret', secret?.secret?.secretName);
  });

  it('keep the claim template that is there until they are made again', () => {
    const sizeOf = (bytes: number): string =>
      find(
        render({ storage: { size: '20Gi' } }, { storageBytes: new Map([['orders', bytes]]) }),
        'StatefulSet',
      ).spec.volumeClaimTemplates[0]!.spec.resources.requests.storage;
    assert.equal(sizeOf(10 * 2 ** 30), '10Gi');
    assert.equal(sizeOf(20 * 2 ** 30), '20Gi');
  });

  it('take an override, but for what they are found and kept by', () => {
    const statefulSet = {
      metadata: { name: 'x', labels: { 'sierradb.io/cluster': null, own: 'y' } },
      spec: {
        ...{ replicas: 0, serviceName: 'x', selector: null, minReadySeconds: 7 },
        updateStrategy: { type: 'RollingUpdate' },
        template: {
          metadata: { labels: { 'sierradb.io/cluster': 'x' }, annotations: { seen: 'yes' } },
          spec: { dnsPolicy: 'Default', serviceAccountName: null },
        },
      },
    };
    const plain = find(render({}), 'StatefulSet');
    const { metadata, spec } = find(render({ overrides: { statefulSet } }), 'StatefulSet');
    assert.equal(metadata.name, 'orders');
    assert.deepEqual(metadata.labels, { ...plain.metadata.labels, own: 'y' });
    for (const field of ['replicas', 'serviceName', 'selector', 'updateStrategy', 'ordinals']) {
      assert.deepEqual(spec[field], plain.spec[field], field);
    }
    assert.equal(spec['minReadySeconds'], 7);
    assert.deepEqual(spec.template.metadata.labels, plain.spec.template.metadata.labels);
    assert.equal(spec.template.metadata.annotations['seen'], 'yes');
    assert.equal(spec.template.spec['dnsPolicy'], 'Default');
    assert.equal(spec.template.spec.serviceAccountName, undefined);
  });
});

describe('the revision', () => {
  const revision = (spec: SierraClusterSpec): string => revisionOf(owner, settle(spec));

  it('stands on the pods of every zone', () => {
    const sets = statefulSetsIn(render(everything, zoned));
    for (const { spec } of sets) {
      assert.equal(
        spec.template.metadata.annotations[annotations.revision],
        revisionOf(owner, settle(everything)),
      );
    }
  });

  const same: readonly (readonly [what: string, SierraClusterSpec])[] = [
    ['how many nodes there are', { nodes: 7 }],
    ['the size of volumes', { storage: { size: '99Gi' } }],
    ['services', { service: { type: 'NodePort' } }],
    ['the factor', { replication: { factor: 1 } }],
    ['the order of what is asked for', { config: {} }],
  ];
  for (const [what, spec] of same) {
    it(`does not change with ${what}`, () => assert.equal(revision(spec), revision({})));
  }

  const other: readonly (readonly [what: string, SierraClusterSpec])[] = [
    ['the image', { image: 'sierradb:2' }],
    ['the configuration', { config: { 'log.level': 'debug' } }],
    ['resources', { pod: { resources: { limits: { memory: '1Gi' } } } }],
    [
      'an override of pods',
      { overrides: { statefulSet: { spec: { template: { spec: { dnsPolicy: 'Default' } } } } } },
    ],
  ];
  for (const [what, spec] of other) {
    it(`changes with ${what}`, () => assert.notEqual(revision(spec), revision({})));
  }
});

describe('the configuration of nodes', () => {
  const tomlOf = (spec: SierraClusterSpec): string =>
    find(render(spec), 'ConfigMap', childNames.config('orders')).data['sierradb.toml'] ?? '';

  it('has what is asked for, and what the operator decides', () => {
    const config = { 'bucket.count': 9, 'log.level': 'warn', 'threads.read': 8 };
    const text = tomlOf({ config, buckets: { count: 16, partitions: 128 } });
    assert.match(text, /^dir = "\/data"\n\n\[bucket\]\ncount = 16\n/);
    assert.match(text, /\[log\]\nlevel = "warn"\n/);
    assert.match(text, /\[partition\]\ncount = 128\n/);
    assert.match(text, /\[threads\]\nread = 8\n/);
  });

  it('is the same in whatever order it is asked for', () => {
    const one = { 'log.level': 'warn', 'threads.read': 8 };
    const other = { 'threads.read': 8, 'log.level': 'warn' };
    assert.equal(tomlOf({ config: one }), tomlOf({ config: other }));
  });
});
