import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../../common/random.ts';
import { seeds } from '../../../../common/testing/seeds.ts';
import { majority, quorumValue } from './configuration.ts';

test('the value of a majority is the highest that more than half have reached', () => {
  for (const seed of seeds(200)) {
    const random = seededRandom(seed);
    const draw = (): Map<string, number> => {
      const ids = Array.from({ length: 1 + random.below(9) }, (_, i) => `voter${i}`);
      return new Map(ids.map((id) => [id, random.below(6)]));
    };
    const [voters, outgoing] = [draw(), random.below(2) === 0 ? draw() : new Map<string, number>()];
    const of = (id: string): number => voters.get(id) ?? outgoing.get(id) ?? assert.fail(id);
    const configuration = { voters: [...voters.keys()], outgoing: [...outgoing.keys()] };
    const hasReached = (ids: readonly string[], value: number): boolean =>
      ids.length === 0 || ids.filter((id) => of(id) >= value).length >= majority(ids.length);
    let expected = 0;
    while (
      hasReached(configuration.voters, expected + 1) &&
      hasReached(configuration.outgoing, expected + 1) &&
      expected < 6
    ) {
      expected += 1;
    }
    assert.equal(quorumValue({ ...configuration, learners: [] }, of), expected, `seed ${seed}`);
  }
});
