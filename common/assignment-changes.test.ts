import assert from 'node:assert/strict';
import test from 'node:test';

import { type Assignment, firstAssignment, type Member } from './assignment.ts';
import {
  ChangeRefusal,
  withMember,
  withoutIdle,
  withoutMember,
  withReplacement,
} from './assignment-changes.ts';

const member = (index: number, id = `m${index}`): Member => ({ id, index, address: `h:${index}` });

const of = (members: number, factor: number, bucketCount = 12): Assignment =>
  firstAssignment('c', { bucketCount, partitionCount: 64, factor }, [
    ...Array.from({ length: members }, (_, index) => member(index)),
  ]);

function held({ buckets, members }: Assignment): number[] {
  return members.map(
    ({ id }) => buckets.filter(({ replicas }) => replicas.some((r) => r.member === id)).length,
  );
}

const led = ({ buckets, members }: Assignment): number[] =>
  members.map(({ id }) => buckets.filter(({ preferred }) => preferred === id).length);

/** What members refuse, whatever the change. */
function check(before: Assignment, after: Assignment): void {
  assert.equal(after.version, before.version + 1);
  for (const [bucket, { replicas, preferred }] of after.buckets.entries()) {
    const holders = replicas.map(({ member: id }) => id);
    assert.equal(new Set(holders).size, holders.length);
    assert(holders.includes(preferred));
    for (const replica of replicas) {
      const stays = before.buckets[bucket]?.replicas.find((r) => r.member === replica.member);
      assert.equal(replica.since, stays?.since ?? after.version);
    }
  }
}

test('a new member gets its share, and leads its share', () => {
  const before = of(3, 3);
  const after = withMember(before, member(3));
  check(before, after);
  assert.deepEqual(held(after), [9, 9, 9, 9]);
  assert.deepEqual(led(after), [3, 3, 3, 3]);
  assert.deepEqual(held(before), [12, 12, 12], 'what was given is not changed');
});

test('where every member holds a bucket, a new one does, too, up to three copies', () => {
  let current = of(1, 1);
  for (const index of [1, 2, 3]) {
    const after = withMember(current, member(index));
    check(current, after);
    current = after;
  }
  assert.deepEqual(held(current), [9, 9, 9, 9]);
  const fewer = withoutIdle(withoutMember(of(3, 3), 2), 'm2');
  const again = withMember(fewer, member(2, 'new'));
  check(fewer, again);
  assert.deepEqual(held(again), [12, 12, 12]);
  const whileLeaving = withMember(withoutMember(of(3, 3), 2), member(3));
  assert.deepEqual(held(whileLeaving), [12, 12, 0, 12]);
});

test('buckets that have fewer copies than members are moved only', () => {
  const before = of(2, 1);
  const after = withMember(before, member(2));
  check(before, after);
  assert.deepEqual(held(after), [4, 4, 4]);
});

test('who leaves gives what it holds to those who hold least', () => {
  const before = withMember(of(3, 3), member(3));
  const after = withoutMember(before, 1);
  check(before, after);
  assert.deepEqual(held(after), [12, 0, 12, 12]);
  const last = withoutIdle(after, 'm1');
  assert.deepEqual([last.members.length, last.removed], [3, ['m1']]);
  assert.throws(() => withMember(last, member(1)), ChangeRefusal);
  check(last, withMember(last, member(1, 'again')));
});

test('where nobody is left to take a copy, there is one fewer', () => {
  const before = of(3, 3);
  const after = withoutMember(before, 0);
  check(before, after);
  assert.deepEqual(held(after), [0, 12, 12]);
  assert.deepEqual(led(after), [0, 6, 6]);
});

test('a new disk takes the place of a lost one, and nobody else moves', () => {
  const before = of(3, 2);
  const after = withReplacement(before, member(1, 'new'));
  check(before, after);
  assert.deepEqual(held(after), [8, 0, 8, 8]);
  assert.deepEqual(led(after), [4, 0, 4, 4]);
});

test('a new disk that is lost before it has taken over is replaced, too', () => {
  const before = withReplacement(of(3, 3), member(1, 'new'));
  const after = withReplacement(before, member(1, 'newer'));
  check(before, after);
  assert.deepEqual(held(after), [12, 0, 12, 0, 12]);
  assert.throws(() => withoutMember(after, 1), /is being replaced/);
  const last = withoutIdle(withoutIdle(after, 'm1'), 'new');
  assert.deepEqual(last.removed, ['m1', 'new']);
  assert.throws(() => withReplacement(last, member(1, 'new')), /was removed/);
});

test('what cannot be is refused in words', () => {
  const current = of(3, 3);
  assert.throws(() => withMember(current, member(2, 'other')), /a node 2 already/);
  assert.throws(() => withMember(current, member(3, 'm1')), /in the cluster already/);
  assert.throws(() => withReplacement(current, member(7)), /there is no node 7/);
  assert.throws(() => withoutMember(of(1, 1), 0), /last member/);
  assert.throws(() => withoutIdle(current, 'm1'), /still holds/);
});

test('a member that is leaving is given nothing back when another one leaves', () => {
  const first = withoutMember(of(5, 3), 1);
  const second = withoutMember(first, 2);
  check(first, second);
  assert.deepEqual(
    held(second).map((count) => count > 0),
    [true, false, false, true, true],
  );
  // Where all others hold nothing, there are fewer buckets than members.
  const few = of(3, 1, 1);
  assert.deepEqual(held(withoutMember(few, 0)), [0, 1, 0]);
});
