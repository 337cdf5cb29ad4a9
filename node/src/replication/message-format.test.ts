import assert from 'node:assert/strict';
import test from 'node:test';

import { decodeBatch, encodeMessage, type WireMessage } from './message-format.ts';

const envelope = { from: '0123456789abcdef', to: 'fedcba9876543210', term: 0xf1e2_d3c4 };
const BIG = 2 ** 47 + 12_345;

const messages: readonly WireMessage[] = [
  { kind: 'preVote', ...envelope, lastIndex: BIG, lastTerm: 7, isTransfer: false },
  { kind: 'preVoteReply', ...envelope, granted: true },
  { kind: 'vote', ...envelope, lastIndex: 5, lastTerm: 0xffff_ffff, isTransfer: true },
  { kind: 'voteReply', ...envelope, granted: false },
  { kind: 'append', ...envelope, previousIndex: BIG, previousTerm: 3, commit: 4, entries: [] },
  { kind: 'appendReply', ...envelope, index: BIG },
  {
    ...{ kind: 'appendReject', ...envelope, rejectedIndex: BIG, hintIndex: BIG - 1 },
    ...{ hintTerm: 0xffff_fffe, commit: 9 },
  },
  { kind: 'heartbeat', ...envelope, commit: BIG, round: BIG + 1 },
  { kind: 'heartbeatReply', ...envelope, round: BIG + 2 },
  { kind: 'timeoutNow', ...envelope },
  { kind: 'pull', ...envelope, commit: BIG },
  { kind: 'pulled', ...envelope, index: BIG },
  { kind: 'pulled', ...envelope, index: null },
];

test('every message arrives as it was sent', () => {
  const buckets = messages.map((_, i) => 250 + i);
  const batch = Buffer.concat(
    messages.map((message, i) => encodeMessage(buckets[i] as number, message, null)),
  );
  const received = [...decodeBatch(batch)];
  assert.deepEqual(
    received.map(({ message }) => message),
    messages,
  );
  assert.deepEqual(
    received.map(({ bucket }) => bucket),
    buckets,
  );
});

test('a message is these bytes, whatever the memory held before', () => {
  // What a small buffer takes is not cleared for it.
  for (let i = 0; i < 1000; i += 1) Buffer.allocUnsafe(60).fill(0xff);
  const heartbeat = { kind: 'heartbeat', ...envelope, commit: 258, round: 3 } as const;
  assert.equal(
    encodeMessage(0x0102, heartbeat, null).toString('hex'),
    '080002012a0000000123456789abcdeffedcba9876543210c4d3e2f10000020100000000030000000000',
  );
});

test('ids that begin with the same bytes are not taken for each other', () => {
  const ids = ['00000001aaaaaaaa', '00000001bbbbbbbb', '00000001cccccccc'];
  for (let i = 0; i < 12; i += 1) {
    const [from, to] = [ids[i % 3] as string, ids[(i + 1) % 3] as string];
    const sent = { kind: 'timeoutNow', from, to, term: i } as const;
    const [received] = [...decodeBatch(encodeMessage(0, sent, null))];
    assert.deepEqual(received?.message, sent);
  }
});

test('more ids than are remembered are told apart', () => {
  for (let i = 0; i < 40_000; i += 1) {
    const from = i.toString(16).padStart(16, '0');
    const sent = { kind: 'timeoutNow', from, to: envelope.to, term: 1 } as const;
    const [received] = [...decodeBatch(encodeMessage(0, sent, null))];
    assert.equal(received?.message.from, from);
    assert.equal(received.message.to, envelope.to);
  }
});
