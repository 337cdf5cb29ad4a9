import assert from 'node:assert/strict';
import test from 'node:test';

import { DurableMarks } from './durable-marks.ts';

test('frames count one by one, votes between them do not', () => {
  const marks = new DurableMarks();
  marks.reset(7);
  const first = marks.frame();
  const vote = marks.vote(8);
  const second = marks.frame();
  assert.equal(marks.index, 7);
  assert.equal(marks.durable(first), 8);
  assert.equal(marks.durable(vote), 8);
  assert.equal(marks.durable(second), 9);
});

test('what was durable before a truncation says nothing of what took its place', () => {
  const marks = new DurableMarks();
  marks.reset(0);
  const old = [marks.frame(), marks.frame(), marks.frame()];
  marks.truncate(1);
  const replaced = marks.frame();
  assert.equal(marks.durable(old[2]!), 1);
  assert.equal(marks.durable(replaced), 2);
});

test('an older truncation counts as long as anything of before it is on its way', () => {
  const marks = new DurableMarks();
  marks.reset(0);
  const old = [marks.frame(), marks.frame(), marks.frame()];
  marks.truncate(0);
  const middle = [marks.frame(), marks.frame(), marks.frame()];
  marks.truncate(2);
  const last = marks.frame();
  assert.equal(marks.durable(old[1]!), 0);
  assert.equal(marks.durable(middle[0]!), 1);
  assert.equal(marks.durable(middle[2]!), 2);
  assert.equal(marks.durable(last), 3);
});

test('what a truncation took away, and what came in its place, is not in older laps', () => {
  const marks = new DurableMarks();
  marks.reset(0);
  const sent = [marks.frame(), marks.frame(), marks.frame()];
  marks.durable(sent[1]!);
  marks.lapBegins();
  assert.equal(marks.beforeLap, 2);
  marks.durable(sent[2]!);
  assert.equal(marks.beforeLap, 2);
  marks.truncate(1);
  marks.frame();
  assert.equal(marks.beforeLap, 1);
});
