import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { firstAssignment } from '../../../common/assignment.ts';
import { type SierraClusterSpec, settledSpec } from './sierra-cluster.ts';
import { refusalsOf } from './validation.ts';

const members = ['a', 'b', 'c'].map((id, index) => ({ id, index, address: `${id}:9190` }));
const counts = { bucketCount: 32, partitionCount: 256, factor: 3 };
const recorded = firstAssignment('cluster', counts, members);

const settled = (spec: SierraClusterSpec): ReturnType<typeof settledSpec> =>
  settledSpec(spec, { image: 'sierradb:1' });

/** `reason: message` of each refusal. */
const refused = (
  spec: SierraClusterSpec,
  assignment: Parameters<typeof refusalsOf>[1] = null,
  seen: Parameters<typeof refusalsOf>[2] = {},
): string[] =>
  refusalsOf(settled(spec), assignment, seen).map(({ reason, message }) => `${reason}: ${message}`);

describe('a spec', () => {
  it('of nothing but defaults is accepted', () => {
    assert.deepEqual(refused({}), []);
    assert.deepEqual(refused({}, recorded, { volumeBytes: 10 * 2 ** 30 }), []);
  });

  it('with everything that a person may set is accepted', () => {
    const spec: SierraClusterSpec = {
      ...{ nodes: 6, zones: ['a', 'b', 'c'], replication: { factor: 5 } },
      storage: { size: '1.5Ti' },
      config: {
        ...{ 'cache.capacity_bytes': '1GiB', 'threads.read': 8, 'append.strict_versioning': true },
        ...{ 'log.level': 'debug', 'protocol.default': 3, 'segment.compression': 'false' },
      },
      pod: { labels: { team: 'shop' }, annotations: { 'example.com/note': 'x' } },
      overrides: {
        statefulSet: {
          metadata: { labels: { team: 'shop' } },
          spec: { template: { spec: { hostNetwork: null, dnsPolicy: 'Default' } } },
        },
      },
    };
    assert.deepEqual(refused(spec), []);
  });

  const cases: readonly (readonly [what: string, SierraClusterSpec, RegExp])[] = [
    ['without nodes', { nodes: 0 }, /^NodesOutOfRange: nodes must be 1 to 64/],
    ['with half a node', { nodes: 2.5 }, /^NodesOutOfRange/],
    ['with no copies', { replication: { factor: 0 } }, /^FactorOutOfRange/],
    [
      'with more copies than nodes',
      { nodes: 2, replication: { factor: 3 } },
      /^FactorOutOfRange: .*factor is 3.*nodes is 2: raise nodes, or lower the factor/,
    ],
    ['with a zone twice', { zones: ['a', 'a'] }, /^ZonesWrong: .*a twice: name each/],
    ['with 257 buckets', { buckets: { count: 257, partitions: 999 } }, /^BucketsWrong/],
    ['with few partitions', { buckets: { partitions: 16 } }, /^BucketsWrong: .*raise partitions/],
    ['with an unreadable size', { storage: { size: '10 gigs' } }, /^StorageUnreadable: .*10Gi/],
    ['with a tiny size', { storage: { size: '200M' } }, /^StorageTooSmall: .*256Mi or more/],
    ['with a setting of ours', { config: { 'node.count': 3 } }, /^ConfigNotYours: .*: set nodes$/],
    ['with a directory', { config: { dir: '/x' } }, /^ConfigNotYours: .*leave it out/],
    ['with a setting nobody has', { config: { toString: 1 } }, /^ConfigUnknown: .*README/],
    ['with a wrong size', { config: { 'cache.capacity_bytes': '1G1' } }, /^ConfigWrong: .*256MiB/],
    ['with a low number', { config: { 'journal.files_max': 2 } }, /^ConfigWrong: .*from 3 to 64/],
    ['with a half number', { config: { 'threads.read': '1.5' } }, /^ConfigWrong: .*whole number/],
    ['with a wrong choice', { config: { 'log.level': 'loud' } }, /^ConfigWrong: .*one of fatal/],
    ['with a wrong switch', { config: { 'network.mdns': 'on' } }, /^ConfigWrong: .*true or false/],
    ['with our label', { pod: { labels: { 'sierradb.io/cluster': 'x' } } }, /^LabelsNotYours/],
    ['with our annotation', { pod: { annotations: { 'sierradb.io/revision': 'x' } } }, /^Labels/],
  ];
  for (const [what, spec, says] of cases) {
    it(`${what} is refused`, () => {
      const faults = refused(spec);
      assert.equal(faults.length, 1, faults.join('\n'));
      assert.match(faults[0]!, says);
    });
  }

  it('with several mistakes is told all of them', () => {
    const spec = { nodes: 1, replication: { factor: 2 }, config: { dir: '/x', nothing: 1 } };
    assert.equal(refused(spec).length, 3);
  });
});

describe('an override', () => {
  const cases: readonly (readonly [what: string, patch: Readonly<Record<string, unknown>>])[] = [
    ['the selector', { spec: { selector: { matchLabels: {} } } }],
    ['the Service', { spec: { serviceName: 'x' } }],
    ['the Service, by removing it', { spec: { serviceName: null } }],
    ['the number of pods', { spec: { replicas: 7 } }],
    ['the volumes', { spec: { volumeClaimTemplates: [] } }],
    ['the owner', { metadata: { ownerReferences: [] } }],
    ['the name', { metadata: { name: 'x' } }],
    ['all labels', { metadata: { labels: null } }],
    ['a label of pods', { spec: { template: { metadata: { labels: { 'sierradb.io/x': 'y' } } } } }],
    ['everything', { spec: null }],
    ['the pods', { spec: { template: [] } }],
  ];
  for (const [what, statefulSet] of cases) {
    it(`of ${what} is refused`, () => {
      const faults = refused({ overrides: { statefulSet } });
      assert.equal(faults.length, 1, faults.join('\n'));
      assert.match(faults[0]!, /^OverrideNotYours: overrides\.statefulSet/);
    });
  }
});

describe('beside the record', () => {
  it('other counts are refused, with those that it was made with', () => {
    for (const buckets of [{ count: 16 }, { partitions: 512 }]) {
      const faults = refused({ buckets }, recorded);
      assert.match(faults.join(), /^BucketsChanged: .*made with 32 buckets and 256 partitions/);
    }
  });

  it('fewer zones than its members are in are refused', () => {
    const zoned = firstAssignment(
      'cluster',
      counts,
      members.map((member, at) => ({ ...member, index: at * 100 })),
    );
    assert.deepEqual(refused({ zones: ['a', 'b', 'c'] }, zoned), []);
    assert.match(refused({ zones: ['a', 'b'] }, zoned).join(), /^ZonesWrong: .*put back the zones/);
    assert.match(refused({}, zoned).join(), /^ZonesWrong/);
  });

  it('volumes that are larger than what is asked for are a refusal, with what they have', () => {
    const faults = refused({ storage: { size: '1Gi' } }, recorded, { volumeBytes: 2 ** 31 });
    assert.match(faults.join(), /^StorageShrunk: .*volumes of 2147483648 bytes/);
  });

  it('fewer nodes are none: they are emptied first', () => {
    assert.deepEqual(refused({ nodes: 1, replication: { factor: 1 } }, recorded), []);
  });
});
