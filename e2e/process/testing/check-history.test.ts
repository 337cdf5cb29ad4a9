/** Histories that are right, and each with one thing wrong. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { checkHistory } from './check-history.ts';
import type { AppendCall, AppendOutcome, FinalEvent, ReadCall } from './history.ts';

const stream = 's';

const event = (version: number, eventId = `e${version}`): FinalEvent => ({
  ...{ stream, version, eventId, partition: 1, sequence: version },
});

const done = (version: number): AppendOutcome => ({
  ...{ is: 'done', version, partition: 1, sequence: version },
});
const refused: AppendOutcome = { is: 'refused', error: 'WRONGVER' };
const unknown: AppendOutcome = { is: 'unknown', error: 'QUORUMFAILED' };

function append(
  eventId: string,
  outcome: AppendOutcome,
  [startMs, endMs]: readonly [number, number],
  expected: number | null = null,
): AppendCall {
  return { stream, eventId, expected, startMs, endMs, outcome };
}

function read(
  version: number,
  [startMs, endMs]: readonly [number, number],
  more: Partial<ReadCall> = {},
): ReadCall {
  return { stream, isStale: false, startMs, endMs, version, eventIds: [], ...more };
}

const [e0, e1] = [append('e0', done(0), [0, 10]), append('e1', done(1), [20, 30], 0)];
const both = [event(0), event(1)];

describe('a history', () => {
  it('is accepted where one order explains it', () => {
    const lost = append('lost', unknown, [40, Infinity]);
    const again = [append('e2', unknown, [50, Infinity]), append('e2', done(2), [60, 70])];
    const no = append('no', refused, [40, 50], 0);
    const reads = [
      ...[read(-1, [0, 5]), read(0, [5, 25]), read(1, [15, 28]), read(1, [40, 65])],
      ...[read(2, [45, 55], { eventIds: ['e1', 'e2'] }), read(0, [80, 90], { isStale: true })],
    ];
    checkHistory({ appends: [e0, e1, lost, ...again, no], reads }, [...both, event(2)]);
  });

  const wrong: readonly [
    name: string,
    appends: AppendCall[],
    reads: ReadCall[],
    final: FinalEvent[],
    message: RegExp,
  ][] = [
    ['acknowledged and lost', [e0, e1], [], [event(0)], /acknowledged and lost/],
    [
      'refused and stored',
      [e0, append('e1', refused, [20, 30])],
      [],
      both,
      /refused and stored: s e1/,
    ],
    ['an event of nobody', [e0], [], both, /nobody has sent it/],
    ['a gap', [e0, e1], [], [event(0), event(2, 'e1')], /no gap/],
    ['an event twice', [e0], [], [event(0), event(1, 'e0')], /twice/],
    ['another place than told', [e0, e1], [], [event(0, 'e1'), event(1, 'e0')], /done at 0/],
    [
      'another place than asked for',
      [e0, append('e1', unknown, [20, 30], 4)],
      [],
      both,
      /not where it was asked to be/,
    ],
    [
      'an order that time forbids',
      [append('e0', unknown, [40, 50]), e1],
      [],
      both,
      /s 0: no moment explains the answers/,
    ],
    ['a stale read', [e0, e1], [read(0, [31, 35])], both, /s 1: no moment/],
    ['an empty stream after an event', [e0, e1], [read(-1, [11, 12])], both, /s 0: no moment/],
    ['a read of what is to come', [e0, e1], [read(1, [12, 19])], both, /s 1: no moment/],
    [
      'reads that go back',
      [e0, append('e1', unknown, [20, Infinity])],
      [read(1, [30, 40]), read(0, [41, 50])],
      both,
      /s 1: no moment/,
    ],
    [
      'a copy that shows what is to come',
      [e0, e1],
      [read(1, [12, 19], { isStale: true })],
      both,
      /s 1: no moment/,
    ],
    [
      'half a transaction',
      [append('e0', unknown, [0, 10]), append('e1', unknown, [0, 10])].map((part) => ({
        ...part,
        transaction: 'e0',
      })),
      [],
      [event(0)],
      /1 of 2 events/,
    ],
    ['seen and lost', [e0], [read(1, [30, 40])], [event(0)], /seen and lost/],
    ['another event seen', [e0], [read(0, [30, 40], { eventIds: ['x'] })], [event(0)], /another/],
  ];
  for (const [name, appends, reads, final, message] of wrong) {
    it(`is refused: ${name}`, () => {
      assert.throws(() => checkHistory({ appends, reads }, final), { message });
    });
  }
});
