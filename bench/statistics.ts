import { assert } from '../common/assert.ts';

/** The middle of several rounds and how far they spread. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  assert(values.length > 0, 'a spread needs a value');
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] as number;
  const half = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/**
 * Round by round, because what both rounds of a pair suffered together (a slow minute of the disk, somebody else's job)
 * cancels out in their ratio and not in the ratio of two medians.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread {
  assert(ours.length === theirs.length, 'pairs of rounds');
  return spreadOf(ours.map((value, round) => value / (theirs[round] as number)));
}

/**
 * Runs `count` rounds; in each, every contender once, one after the other. Every second round goes backwards, so that
 * nobody always runs on the disk that another has just filled. Answers each contender's results in round order.
 */
export async function interleave<Result>(
  count: number,
  contenders: readonly ((round: number) => Promise<Result>)[],
): Promise<Result[][]> {
  const results: Result[][] = contenders.map(() => []);
  for (let round = 0; round < count; round += 1) {
    const order = [...contenders.keys()];
    if (round % 2 === 1) order.reverse();
    for (const index of order) {
      const run = contenders[index];
      if (run !== undefined) results[index]?.push(await run(round));
    }
  }
  return results;
}
