import { randomFillSync } from 'node:crypto';

/** The only source of randomness, so that a simulation can replay it from a seed. */
export interface Random {
  /** Overwrites all of `target` with random bytes. */
  fill(target: Uint8Array): void;
  /** A whole number from 0 to `limit - 1`; `limit` is from 1 to 2^32. */
  below(limit: number): number;
}

const scratch = Buffer.allocUnsafeSlow(4);

/** Cryptographically strong randomness of the operating system. */
export const systemRandom: Random = {
  fill: (target) => void randomFillSync(target),
  below: (limit) => {
    randomFillSync(scratch);
    return Math.floor((scratch.readUInt32LE(0) / 2 ** 32) * limit);
  },
};

/**
 * A reproducible generator for tests and simulations: mulberry32 (Tommy Ettinger, public domain algorithm). Not for
 * ids that must be unguessable.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    fill: (target) => {
      for (let i = 0; i < target.length; i += 1) target[i] = next() & 0xff;
    },
    below: (limit) => Math.floor((next() / 2 ** 32) * limit),
  };
}
