/** Seeds of a random test: `SEEDS=1000` runs more of them, `SEED=7` begins with (and, without SEEDS, runs only) that one. */
export function seeds(usual: number): number[] {
  const first = process.env['SEED'] === undefined ? 1 : Number(process.env['SEED']);
  const count = process.env['SEED'] === undefined ? usual : 1;
  const asked = process.env['SEEDS'] === undefined ? count : Number(process.env['SEEDS']);
  return Array.from({ length: asked }, (_, i) => first + i);
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
