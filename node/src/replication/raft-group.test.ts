import assert from 'node:assert/strict';
import test from 'node:test';

import {
  frameIndex,
  frameKind,
  frameKindOf,
  frameLength,
  frameTerm,
} from '../storage/frame-format.ts';
import { decodeBatch, encodeMessage, type Received, type WireMessage } from './message-format.ts';
import { TestGroup } from './testing/test-group.ts';

const [LEADER, FOLLOWER, OTHER] = ['01'.repeat(8), '02'.repeat(8), '03'.repeat(8)] as const;

/** What the leader sends of its frames from `first` on, with what comes before it as the leader has it. */
function appendOf({ group }: TestGroup, first: number, commit: number): Buffer {
  const range = group.log.frames(first, 1024 * 1024);
  assert(range !== null);
  const message: WireMessage = {
    kind: 'append',
    ...{ from: LEADER, to: FOLLOWER, term: group.core.term },
    ...{ previousIndex: first - 1, previousTerm: group.log.termAt(first - 1) ?? 0 },
    ...{ entries: [], commit },
  };
  return encodeMessage(0, message, range.bytes.subarray(range.from, range.to));
}

const received = (bytes: Buffer): Received => [...decodeBatch(bytes)][0] ?? assert.fail();

test('a frame that was changed on its way is not taken; the next attempt is', async () => {
  const leader = await TestGroup.open(LEADER, [LEADER]);
  const follower = await TestGroup.open(FOLLOWER, [LEADER, FOLLOWER, OTHER]);
  await leader.append(3, 'a');
  const bytes = appendOf(leader, 1, 0);
  const changed = Buffer.from(bytes);
  const last = changed.length - 1;
  changed[last] = (changed[last] as number) ^ 1;
  follower.group.receive(received(changed));
  assert.equal(follower.group.log.endIndex, 0);
  follower.group.receive(received(bytes));
  assert.equal(follower.group.log.endIndex, leader.group.log.endIndex);
  assert.deepEqual(follower.divergences, []);
  await follower.close();
  await leader.close();
});

test('a replica whose log is not its leader’s ends neither its node nor the others’', async () => {
  const leader = await TestGroup.open(LEADER, [LEADER]);
  const other = await TestGroup.open(LEADER, [LEADER]);
  const follower = await TestGroup.open(FOLLOWER, [LEADER, FOLLOWER, OTHER]);
  await leader.append(3, 'a');
  await other.append(3, 'b');
  const range = other.group.log.frames(1, 1024 * 1024);
  assert(range !== null);
  const { bytes, from, to } = range;
  // Up to the second frame: the same terms as the leader has there, and other bytes.
  for (let at = from; at < to && frameIndex(bytes, at) < 3; at += frameLength(bytes, at)) {
    assert.equal(frameTerm(bytes, at), leader.group.log.termAt(frameIndex(bytes, at)));
    assert.equal(follower.group.log.take(bytes, at, at + frameLength(bytes, at)), null);
  }
  follower.group.receive(received(appendOf(leader, 3, 4)));
  assert.equal(follower.divergences.length, 1);
  assert.equal(follower.group.log.endIndex, 2);
  assert.equal(follower.group.log.committedIndex, 0);
  await follower.group.durable(2);
  follower.group.healed();
  follower.group.receive(received(appendOf(leader, 3, 4)));
  assert.equal(follower.divergences.length, 1, 'it still takes nothing');
  assert(!follower.sent.some(({ kind }) => kind === 'appendReply'));
  await follower.close();
  await other.close();
  await leader.close();
});

test('who is in a group stands in its log before any event does', async () => {
  const leader = await TestGroup.open(LEADER, [LEADER, FOLLOWER, OTHER]);
  const { group } = leader;
  const hear = async (message: WireMessage): Promise<void> => {
    group.receive(received(encodeMessage(0, message, null)));
    await new Promise(setImmediate);
  };
  while (group.core.role === 'follower') group.tick();
  const reply = { from: FOLLOWER, to: LEADER, granted: true } as const;
  await hear({ kind: 'preVoteReply', ...reply, term: 1 });
  while (group.core.role !== 'leader') await hear({ kind: 'voteReply', ...reply, term: 1 });
  const range = group.log.frames(1, 1024 * 1024);
  assert(range !== null);
  const kinds: number[] = [];
  for (let at = range.from; at < range.to; at += frameLength(range.bytes, at)) {
    kinds.push(frameKindOf(range.bytes, at));
  }
  assert.deepEqual(kinds, [frameKind.leader, frameKind.configuration]);
  const known = { index: 2, configuration: { voters: [LEADER, FOLLOWER, OTHER] } };
  assert.partialDeepStrictEqual(group.core.configurations.at(-1), known);
  await leader.close();
});

test('ticks that the core is not woken for count: a group campaigns, beats and steps down at the same ticks', async () => {
  const follower = await TestGroup.open(FOLLOWER, [LEADER, FOLLOWER, OTHER]);
  const { group, sent } = follower;
  let ticks = 0;
  while (sent.length === 0) {
    group.tick();
    ticks += 1;
  }
  assert(ticks >= 10 && ticks < 20, `campaigns after ${ticks} ticks`);
  assert.deepEqual(new Set(sent.map(({ kind }) => kind)), new Set(['preVote']));
  // What comes in between is told how much time has passed.
  const term = 5;
  const heartbeat = { kind: 'heartbeat', from: LEADER, to: FOLLOWER, term, commit: 0 } as const;
  group.receive(received(encodeMessage(0, { ...heartbeat, round: 1 }, null)));
  await new Promise((resolve) => setImmediate(resolve));
  for (let round = 2; round < 20; round += 1) {
    for (let i = 0; i < 9; i += 1) group.tick();
    group.receive(received(encodeMessage(0, { ...heartbeat, round }, null)));
  }
  assert.equal(group.leader, LEADER);
  for (let i = 0; i < 9; i += 1) group.tick();
  const ask = { from: OTHER, to: FOLLOWER, lastIndex: 9, lastTerm: 5, isTransfer: false } as const;
  const preVote = { kind: 'preVote', ...ask, term: 6 } as const;
  sent.length = 0;
  group.receive(received(encodeMessage(0, preVote, null)));
  assert.equal(sent.length, 0, 'it has heard of its leader nine ticks ago');
  group.tick();
  group.receive(received(encodeMessage(0, preVote, null)));
  assert(
    sent.some((message) => message.kind === 'preVoteReply' && message.granted),
    'ten ticks are too long',
  );
  await follower.close();
});
