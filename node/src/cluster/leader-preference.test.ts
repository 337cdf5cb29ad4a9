import assert from 'node:assert/strict';
import test from 'node:test';

import { FirstLeaders, LeaderPreference, type PreferenceGroup } from './leader-preference.ts';

/** A group led by `own` whose follower `other` is as the test says. */
class FakeGroup implements PreferenceGroup {
  readonly log: { readonly bucket: number; endIndex: number };
  readonly replicaId = 'own';
  state = 'leading';
  readonly transfers: string[] = [];
  follower = { state: 'stream', match: 100, isActive: true, wasActive: false };
  isSettled = true;

  constructor(bucket: number) {
    this.log = { bucket, endIndex: 100 };
  }

  get core(): PreferenceGroup['core'] {
    return {
      isHandingOver: false,
      isSettled: this.isSettled,
      leadership: { progress: (id) => (id === 'other' ? this.follower : undefined) },
    };
  }

  transfer(to: string): void {
    this.transfers.push(to);
  }
}

const looks = (preference: LeaderPreference, groups: readonly FakeGroup[], count: number): void => {
  for (let i = 0; i < count; i += 1) preference.look(groups);
};

test('the preferred replica of a new group asks for votes until there is a leader; the others wait', () => {
  const group = (bucket: number) => ({
    log: { bucket },
    replicaId: 'own',
    leader: null as string | null,
    core: { term: 0, isReluctant: false },
    asked: 0,
    campaign(): void {
      this.asked += 1;
    },
  });
  const [own, others, nobodys] = [group(0), group(1), group(2)];
  const first = new FirstLeaders((bucket) => ['own', 'other', null][bucket] ?? null);
  const look = (tick: number): void => {
    for (const each of [own, others, nobodys]) first.look(each, tick);
  };
  for (let tick = 1; tick <= 8; tick += 1) look(tick);
  assert.deepEqual([own.asked, others.asked, nobodys.asked], [2, 0, 0]);
  const reluctant = (): boolean[] => [own, others, nobodys].map(({ core }) => core.isReluctant);
  assert.deepEqual(reluctant(), [false, true, false]);
  own.core.term = 1;
  others.leader = 'other';
  // What others have set is left alone.
  nobodys.core = { term: 1, isReluctant: true };
  for (let tick = 9; tick <= 16; tick += 1) look(tick);
  assert.deepEqual(reluctant(), [false, false, true]);
  assert.equal(own.asked, 2);
});

test('a preferred replica that is well for ten looks is given the lead, once', () => {
  const group = new FakeGroup(0);
  const preference = new LeaderPreference(() => 'other');
  looks(preference, [group], 9);
  assert.deepEqual(group.transfers, []);
  looks(preference, [group], 40);
  assert.deepEqual(group.transfers, ['other']);
});

test('who is preferred already, follows only, or knows no preference hands nothing over', () => {
  const group = new FakeGroup(0);
  looks(new LeaderPreference(() => 'own'), [group], 100);
  looks(new LeaderPreference(() => null), [group], 100);
  group.state = 'following';
  looks(new LeaderPreference(() => 'other'), [group], 100);
  assert.deepEqual(group.transfers, []);
});

test('one that is silent, behind, not known to agree, or amid a change is not well, and the count begins anew', () => {
  const spoil: readonly ((group: FakeGroup) => void)[] = [
    (group) => (group.follower.isActive = false),
    (group) => (group.follower.state = 'probe'),
    (group) => (group.log.endIndex = 5000),
    (group) => (group.isSettled = false),
  ];
  for (const hurt of spoil) {
    const group = new FakeGroup(0);
    const preference = new LeaderPreference(() => 'other');
    looks(preference, [group], 9);
    hurt(group);
    looks(preference, [group], 1);
    Object.assign(group, { isSettled: true });
    Object.assign(group.follower, { state: 'stream', isActive: true });
    group.log.endIndex = 100;
    looks(preference, [group], 9);
    assert.deepEqual(group.transfers, []);
  }
});

test('one bucket at a time', () => {
  const groups = [new FakeGroup(0), new FakeGroup(1), new FakeGroup(2)];
  const preference = new LeaderPreference(() => 'other');
  looks(preference, groups, 10);
  assert.deepEqual(
    groups.map(({ transfers }) => transfers.length),
    [1, 0, 0],
  );
  looks(preference, groups, 2);
  assert.deepEqual(
    groups.map(({ transfers }) => transfers.length),
    [1, 1, 1],
  );
});
