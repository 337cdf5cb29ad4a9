/**
 * Runs a fuzzer from `tools/fuzz/`, by seed: `npm run fuzz -- decoder --seed 7 --rounds 100000`. A failure prints the
 * command that repeats it. A fuzzer exports `run`, which throws when it finds something.
 */
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** Draws everything from `seed`; does `rounds` steps of its own size. */
export type Fuzzer = (seed: number, rounds: number) => Promise<void>;

const folder = new URL('fuzz/', import.meta.url);

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, rounds: { type: 'string', default: '10000' } },
});
const [name] = positionals;
const rounds = Number(values.rounds);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));

if (
  name === undefined ||
  !existsSync(new URL(`${name}.ts`, folder)) ||
  !(seed >= 0) ||
  !(rounds > 0)
) {
  const known = existsSync(folder)
    ? readdirSync(folder).flatMap((file) => /^([a-z-]+)\.ts$/.exec(file)?.[1] ?? [])
    : [];
  process.stderr.write(`usage: npm run fuzz -- ${known.join('|')} [--seed N] [--rounds N]\n`);
  process.exit(1);
}

const repeat = `npm run fuzz -- ${name} --seed ${seed} --rounds ${rounds}`;
try {
  const { run } = (await import(new URL(`${name}.ts`, folder).href)) as { run: Fuzzer };
  const startedMs = performance.now();
  await run(seed, rounds);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${name}: nothing found in ${rounds} rounds, ${seconds} s; seed ${seed}\n`);
} catch (error) {
  process.stderr.write(
    `${String(error instanceof Error ? error.stack : error)}\n\nTo repeat: ${repeat}\n`,
  );
  process.exit(1);
}
