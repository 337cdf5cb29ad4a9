import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeNode } from '../testing/fake-node.ts';
import { runFanOut } from './fan-out-run.ts';
import { runHistory } from './history-run.ts';
import { IdleSubscribers } from './idle-subscribers.ts';
import { runLive } from './live-run.ts';
import { PushSource } from './push-source.ts';

const serverPid = process.pid;
const subscription = ['EPSUB', '*'];
const fromStart = [...subscription, 'FROM', '0'];
const short = { warmUpSeconds: 0.01, seconds: 0.05 };

test('a history is over when every subscriber has all of it', async () => {
  await using node = await FakeNode.start({ history: 2500 });
  const spec = { port: node.port, serverPid, subscriptions: [fromStart, fromStart, fromStart] };
  const result = await runHistory({ ...spec, eventsEach: 2500 });
  assert.equal(result.events, 7500);
});

test('a history that does not begin with its first event is refused', async () => {
  await using node = await FakeNode.start({ history: 100, lost: 1 });
  const spec = { port: node.port, serverPid, subscriptions: [fromStart], eventsEach: 99 };
  await assert.rejects(runHistory(spec), /1 out of order/);
});

test('more events than there should be are refused', async () => {
  await using node = await FakeNode.start({ history: 100 });
  const spec = { port: node.port, serverPid, subscriptions: [fromStart], eventsEach: 90 };
  await assert.rejects(runHistory(spec), /got 100 events/);
});

test('the source of prepared pushes numbers them in order', async () => {
  await using source = await PushSource.start(1750);
  const spec = { port: source.port, serverPid, subscriptions: [fromStart], eventsEach: 1750 };
  assert.equal((await runHistory(spec)).events, 1750);
});

test('every live append has its reply and its push', async () => {
  await using node = await FakeNode.start();
  const spec = { port: node.port, serverPid, subscription, ...short, seed: 1 };
  const result = await runLive({ ...spec, appenders: 5, streams: 10 });
  assert.ok(result.events > 0);
  assert.ok(result.earlyShare >= 0 && result.earlyShare <= 1);
  assert.ok(result.appendMs.p50 > 0);
});

test('pushes that wait for the next command are late ones', async () => {
  await using node = await FakeNode.start({ push: 'next' });
  const spec = { port: node.port, serverPid, subscription, ...short, seed: 1 };
  const result = await runLive({ ...spec, appenders: 2, streams: 10 });
  assert.equal(result.earlyShare, 0);
  assert.ok(result.pushAfterReplyMs.p50 > 0);
  assert.ok(result.pushMs.p50 > result.pushAfterReplyMs.p50);
});

test('the events of a fan-out are counted at every subscriber', async () => {
  await using node = await FakeNode.start();
  const spec = { port: node.port, serverPid, subscription: ['ESUB', 'stream'], ...short };
  const result = await runFanOut({ ...spec, subscribers: 7, stream: 1, underWayMax: 16 });
  assert.ok(result.events > 0);
  assert.ok(result.lastPushMs.p50 > 0);
});

test('idle subscriptions say when they are not', async () => {
  await using node = await FakeNode.start();
  using idle = new IdleSubscribers(node.port);
  await idle.add(0, 1200);
  idle.check();
  const spec = { port: node.port, serverPid, subscription, ...short, seed: 1 };
  await runLive({ ...spec, appenders: 1, streams: 10 });
  assert.throws(() => {
    idle.check();
  }, /got an event/);
});
