import { setImmediate as immediate } from 'node:timers/promises';

const TURNS_MAX = 1_000_000;

/** Lets the event loop turn until `condition` holds; fails when it has turned for a very long time. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    if (condition()) return;
    await immediate();
  }
  throw new Error('the condition did not come true');
}

/** Lets the event loop turn often enough for everything that is on its way to arrive. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await immediate();
}
