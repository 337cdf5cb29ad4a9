/**
 * Seeds of a random test: `SEEDS=1000` runs more of them, `SEED=7` begins with that one and, without SEEDS, runs it alone.
 * A test that takes long for each seed runs one for every `per` that are asked for.
 */
export function seeds(usual: number, per: number = 1): number[] {
  const { SEED: first, SEEDS: count } = process.env;
  const length =
    count === undefined ? (first === undefined ? usual : 1) : Math.ceil(Number(count) / per);
  return Array.from({ length }, (_, i) => Number(first ?? 1) + i);
}

/** Runs `work` for a seed; an error says how to repeat it. */
export async function underSeed(
  file: string,
  seed: number,
  work: (seed: number) => Promise<void>,
): Promise<void> {
  try {
    await work(seed);
  } catch (error) {
    const repeat = `SEED=${seed} node_modules/.bin/node --test ${file}`;
    throw new Error(`seed ${seed}: ${(error as Error).message}\nTo repeat: ${repeat}`, {
      cause: error,
    });
  }
}
