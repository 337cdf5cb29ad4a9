/** `sierradb cluster drain`: has a member hand over what it leads, and waits until it may be stopped. */
import { setTimeout as delay } from 'node:timers/promises';

import { askToDrain, type AskOptions, endDrain } from './cluster-requests.ts';
import type { Session } from './command.ts';
import { drainText } from './drain-text.ts';
import { exitCode } from './exit-code.ts';

const LOOK_MS = 500;

export interface Draining extends AskOptions {
  readonly address: string;
  /** How long it may take until it is safe to stop. */
  readonly waitMs: number;
  readonly isCancelled: boolean;
}

/** Done when it is safe to stop the member, refused when it is not by then. */
export async function drainMember(session: Session, draining: Draining): Promise<number> {
  const { address, waitMs, isCancelled } = draining;
  if (isCancelled) {
    await endDrain(address, draining);
    if (!session.isJson) await session.output.line('it may lead again');
    return exitCode.done;
  }
  const endMs = performance.now() + waitMs;
  let status = await askToDrain(address, draining);
  while (!status.isSafeToStop && performance.now() < endMs) {
    await delay(LOOK_MS);
    status = await askToDrain(address, draining);
  }
  await session.output.line(session.isJson ? JSON.stringify(status) : drainText(status));
  return status.isSafeToStop ? exitCode.done : exitCode.refused;
}
