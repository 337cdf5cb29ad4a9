import { DamageRun } from '../../node/src/engine/testing/damage-run.ts';

/** Filling a disk takes longer than looking at what damage leaves of it. */
const DAMAGES_PER_DISK = 20;

/**
 * Damages data directories at random and looks at what opens: never wrong data, never silent loss. A round is one damage;
 * the disk is opened twice and read as a whole.
 */
export async function run(seed: number, rounds: number): Promise<void> {
  for (let done = 0; done < rounds; done += DAMAGES_PER_DISK) {
    const disk = seed + done;
    const prepared = await DamageRun.prepare(disk);
    for (let i = 0; i < Math.min(DAMAGES_PER_DISK, rounds - done); i += 1) {
      try {
        await prepared.check(disk * 1000 + i);
      } catch (error) {
        const message = `disk ${disk}, damage ${disk * 1000 + i}: ${(error as Error).message}`;
        throw new Error(message, { cause: error });
      }
    }
  }
}
