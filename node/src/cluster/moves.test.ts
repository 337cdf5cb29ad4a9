import assert from 'node:assert/strict';
import test from 'node:test';

import type { Configuration, ReplicaId } from '../replication/raft/types.ts';
import { type Follower, type LedBucket, nextStep } from './moves.ts';

const group = (voters: string, learners = '', outgoing = ''): Configuration => ({
  voters: Array.from(voters),
  outgoing: Array.from(outgoing),
  learners: Array.from(learners),
});

const well: Follower = { state: 'stream', match: 100, isActive: true };

/** Replicas are letters; a capital one is another stay of the same member. */
function bucket(
  configuration: Configuration,
  assigned: string,
  changes: Partial<LedBucket> & { readonly followers?: Readonly<Record<ReplicaId, Follower>> } = {},
): LedBucket {
  const { followers = {}, ...rest } = changes;
  return {
    self: 'a',
    assigned: Array.from(assigned),
    configuration,
    changeFault: null,
    lastIndex: 100,
    follower: (id) => followers[id] ?? well,
    memberOf: (id) => id.toLowerCase(),
    isWilling: () => true,
    ...rest,
  };
}

test('an assignment in force asks for nothing, in whatever order', () => {
  assert.deepEqual(nextStep(bucket(group('abc'), 'cab'), true), { kind: 'none' });
});

test('a new replica becomes a learner first, then catches up, then a voter', () => {
  const target = 'abd';
  const followers = { d: { state: 'probe', match: 0, isActive: false } } as const;
  assert.deepEqual(nextStep(bucket(group('abc'), target), true), {
    kind: 'change',
    stage: 'adding',
    configuration: group('abc', 'd'),
  });
  const added = bucket(group('abc', 'd'), target, { followers });
  assert.deepEqual(nextStep(added, true), {
    kind: 'wait',
    stage: 'catching up',
    reason: 'replica d does not answer',
  });
  assert.deepEqual(nextStep(bucket(group('abc', 'd'), target), true), {
    kind: 'change',
    stage: 'changing',
    configuration: group('abd'),
  });
  const joint = bucket(group('abd', '', 'abc'), target, { changeFault: 'under way' });
  assert.equal(nextStep(joint, true).kind, 'wait');
  assert.equal(nextStep(bucket(group('abd'), target), true).kind, 'none');
});

test('one that copies, or is far behind, has not caught up', () => {
  const step = (follower: Follower, lastIndex: number): string => {
    const led = bucket(group('abc', 'd'), 'abd', { lastIndex, followers: { d: follower } });
    const next = nextStep(led, true);
    return next.kind === 'wait' ? next.reason : next.kind;
  };
  assert.equal(
    step({ state: 'copy', match: 90, isActive: true }, 100),
    'replica d lacks 10 entries',
  );
  assert.equal(step({ ...well, match: 10 }, 10_000), 'replica d lacks 9990 entries');
  assert.equal(step({ ...well, match: 9900 }, 10_000), 'change');
});

test('a leader that leaves hands over to one that stays', () => {
  assert.deepEqual(nextStep(bucket(group('abc', 'd'), 'bcd'), true), {
    kind: 'transfer',
    stage: 'handing over',
    to: 'b',
  });
  const followers = { b: { ...well, isActive: false } };
  const step = nextStep(bucket(group('abc', 'd'), 'bcd', { followers }), true);
  assert.equal(step.kind === 'transfer' && step.to, 'c');
});

test('a leader that leaves hands over to one that drains only where there is nobody else', () => {
  const to = (assigned: string): string | false => {
    const isWilling = (id: string): boolean => id !== 'b';
    const step = nextStep(bucket(group('abc', 'd'), assigned, { isWilling }), true);
    return step.kind === 'transfer' && step.to;
  };
  assert.equal(to('bcd'), 'c');
  assert.equal(
    nextStep(bucket(group('ab'), 'b', { isWilling: () => false }), true).kind,
    'transfer',
  );
});

test('a leader that nobody of the present voters survives changes the configuration itself', () => {
  assert.deepEqual(nextStep(bucket(group('abc', 'def'), 'def'), true), {
    kind: 'change',
    stage: 'changing',
    configuration: group('def'),
  });
});

test('voters change only where a majority of those to come is well', () => {
  const silent: Follower = { ...well, isActive: false };
  const three = bucket(group('abcde'), 'abc', { followers: { b: silent, c: silent } });
  assert.equal(nextStep(three, true).kind, 'wait');
  const two = bucket(group('abcde'), 'abc', { followers: { c: silent } });
  assert.equal(nextStep(two, true).kind, 'change');
});

test('a lost member is replaced although it does not answer', () => {
  const followers = { c: { state: 'probe', match: 3, isActive: false } } as const;
  assert.deepEqual(nextStep(bucket(group('abc', 'd'), 'abd', { followers }), true), {
    kind: 'change',
    stage: 'changing',
    configuration: group('abd'),
  });
});

test('an assignment that names the earlier holders again drops the learner', () => {
  assert.deepEqual(nextStep(bucket(group('abc', 'd'), 'abc'), true), {
    kind: 'change',
    stage: 'dropping',
    configuration: group('abc'),
  });
});

test('another newcomer takes the place of a learner', () => {
  const step = nextStep(bucket(group('abc', 'd'), 'abe'), true);
  assert.deepEqual(step, { kind: 'change', stage: 'adding', configuration: group('abc', 'e') });
});

test('a later stay of the same member begins when the earlier one has ended', () => {
  const step = nextStep(bucket(group('abc'), 'abC'), true);
  assert.deepEqual(step, { kind: 'change', stage: 'changing', configuration: group('ab') });
  const alone = nextStep(bucket(group('a'), 'A'), true);
  assert.equal(alone.kind, 'wait');
});

test('of several stays that begin anew one is missing at a time', () => {
  const step = (voters: string, learners: string, assigned: string): string => {
    const next = nextStep(bucket(group(voters, learners), assigned), true);
    if (next.kind !== 'change') return next.kind;
    const { configuration } = next;
    return `${configuration.voters.join('')}+${configuration.learners.join('')}`;
  };
  assert.equal(step('abc', '', 'aBC'), 'ac+');
  assert.equal(step('ac', '', 'aBC'), 'ac+B');
  assert.equal(step('ac', 'B', 'aBC'), 'aBc+');
  assert.equal(step('aBc', '', 'aBC'), 'aB+');
  assert.equal(step('aB', 'C', 'aBC'), 'aBC+');
  assert.equal(step('abc', '', 'dBC'), 'abc+d', 'whoever is new comes first');
});

test('no move begins while others are under way, but those under way go on', () => {
  assert.equal(nextStep(bucket(group('abc'), 'abd'), false).kind, 'wait');
  assert.equal(nextStep(bucket(group('abc', 'd'), 'abd'), false).kind, 'change');
});

test('nothing is asked for while another change is under way', () => {
  const step = nextStep(bucket(group('abc'), 'abd', { changeFault: 'another change' }), true);
  assert.deepEqual(step, { kind: 'wait', stage: 'changing', reason: 'another change' });
});
