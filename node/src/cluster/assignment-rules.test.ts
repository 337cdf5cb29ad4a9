import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Assignment, FEATURE_LEVEL, firstAssignment } from '../../../common/assignment.ts';
import { takesAssignment, type Taker } from './assignment-rules.ts';
import { assignmentOf } from './assignment-shape.ts';
import { ClusterRefusal } from './types.ts';

const members = [0, 1, 2].map((index) => ({ id: `m${index}`, index, address: `a:${index}` }));
const counts = { bucketCount: 4, partitionCount: 32 };
const first = firstAssignment('c', { ...counts, factor: 3 }, members);
const second: Assignment = {
  ...first,
  version: 2,
  members: members.map((member) => ({ ...member, address: `b:${member.index}` })),
};

const fresh: Taker = { member: 'm1', index: 1, ...counts, assignment: null };
const formed: Taker = { ...fresh, assignment: first };

function refusal(taker: Taker, replaces: number, assignment: Assignment): string {
  try {
    takesAssignment(taker, { replaces, assignment });
  } catch (error) {
    assert.ok(error instanceof ClusterRefusal);
    return error.message;
  }
  return assert.fail('it was taken');
}

describe('a member', () => {
  it('with a fresh disk takes the one that names it', () => {
    assert.equal(takesAssignment(fresh, { replaces: 0, assignment: first }), true);
  });

  it('has what it has', () => {
    const again = structuredClone(first);
    assert.equal(takesAssignment(formed, { replaces: 0, assignment: again }), false);
  });

  it('takes the next one', () => {
    assert.equal(takesAssignment(formed, { replaces: 1, assignment: second }), true);
  });

  const other = { ...first, clusterId: 'd' };
  const changed = (change: Partial<Assignment['buckets'][number]>): Assignment => ({
    ...second,
    buckets: second.buckets.map((bucket) => ({ ...bucket, ...change })),
  });
  const moved = changed({
    preferred: 'm0',
    replicas: [
      { member: 'm0', since: 1 },
      { member: 'm1', since: 2 },
    ],
  });

  it('takes one that moves replicas', () => {
    assert.equal(takesAssignment(formed, { replaces: 1, assignment: moved }), true);
  });

  const newer = { ...formed, assignment: second };
  const third = { ...second, version: 3 };
  const cases: readonly (readonly [string, Taker, number, Assignment, RegExp])[] = [
    ['another cluster’s', formed, 0, other, /^this node belongs to cluster c and never to d$/],
    ['a change on a fresh disk', fresh, 1, second, /^it replaces version 1, but this disk is fre/],
    [
      'one without it',
      { ...fresh, member: 'm9' },
      0,
      first,
      /^it does not name member m9, node 1, whose disk this is$/,
    ],
    [
      'another place in it',
      { ...fresh, index: 2 },
      0,
      first,
      /^it has member m1 as node 1, but this is node 2$/,
    ],
    ['other counts', { ...fresh, bucketCount: 8 }, 0, first, /^it has 4 buckets and 32 partit/],
    [
      'another one of its version',
      formed,
      0,
      { ...first, removed: ['m7'] },
      /^there is another assignment of version 1: [0-9a-f]{64}$/,
    ],
    ['an older one', newer, 0, first, /^version 2 is newer$/],
    ['one that replaces another', newer, 1, third, /^it replaces version 1, but version 2 is in/],
    [
      'a member that was removed',
      { ...formed, assignment: { ...first, removed: ['m2'] } },
      1,
      second,
      /^member m2 was removed and never serves again$/,
    ],
    [
      'a feature level that it does not know',
      formed,
      1,
      { ...second, featureLevel: FEATURE_LEVEL + 1 },
      /^it is of feature level 2, this program knows 1$/,
    ],
    [
      'a feature level that it does not know, on a fresh disk',
      fresh,
      0,
      { ...first, featureLevel: FEATURE_LEVEL + 1 },
      /^it is of feature level 2, this program knows 1$/,
    ],
    [
      'a new epoch that counts its versions anew',
      newer,
      2,
      { ...second, epoch: 2 },
      /^version 2 is in force, and an epoch goes on counting$/,
    ],
    ['a member that it removes', formed, 1, { ...second, removed: ['m2'] }, /^member m2 cannot be/],
    [
      'a leader that is no holder',
      formed,
      1,
      { ...moved, buckets: moved.buckets.map((bucket) => ({ ...bucket, preferred: 'm2' })) },
      /^member m2 cannot lead bucket 0$/,
    ],
    [
      'a holder twice',
      formed,
      1,
      changed({
        preferred: 'm0',
        replicas: [
          { member: 'm0', since: 1 },
          { member: 'm0', since: 2 },
        ],
      }),
      /^a member holds bucket 0 twice$/,
    ],
    [
      'a stay that begins later',
      formed,
      1,
      changed({ preferred: 'm0', replicas: [{ member: 'm0', since: 3 }] }),
      /^a replica of bucket 0 begins with version 3, this is 2$/,
    ],
  ];
  for (const [name, taker, replaces, assignment, reason] of cases) {
    it(`refuses ${name}`, () => assert.match(refusal(taker, replaces, assignment), reason));
  }
});

describe('an assignment from outside', () => {
  it('is one when all of it is there', () => {
    assert.deepEqual(assignmentOf(structuredClone(first)), first);
  });

  const broken: readonly (readonly [string, unknown])[] = [
    ['nothing', null],
    ['a list', []],
    ['no cluster', { ...first, clusterId: '' }],
    ['a version that is none', { ...first, version: 1.5 }],
    ['a bucket too few', { ...first, buckets: first.buckets.slice(1) }],
    ['a member twice', { ...first, members: [...members, members[0]] }],
    ['a replica of nobody', { ...first, members: members.slice(1) }],
    [
      'a bucket without replicas',
      { ...first, buckets: first.buckets.map(() => ({ preferred: 'm0', replicas: [] })) },
    ],
  ];
  for (const [name, value] of broken) {
    it(`is none with ${name}`, () => assert.equal(assignmentOf(value), null));
  }
});
