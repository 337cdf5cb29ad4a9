import { fuzzDecoder } from '../../node/src/resp/testing/fuzz-decoder.ts';

/** Fuzzes the decoder of requests. */
export async function run(seed: number, rounds: number): Promise<void> {
  fuzzDecoder(seed, rounds);
  await Promise.resolve();
}
