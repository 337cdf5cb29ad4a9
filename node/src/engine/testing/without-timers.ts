/**
 * Runs `work`, then stops every interval that it has started and not stopped: a store whose simulated disk has died can
 * not be closed, and its timers would keep it in memory.
 */
export async function withoutTimers<T>(work: () => Promise<T>): Promise<T> {
  const started: NodeJS.Timeout[] = [];
  const { setInterval } = globalThis;
  globalThis.setInterval = (...args: Parameters<typeof setInterval>) => {
    const timer = setInterval(...args);
    started.push(timer);
    return timer;
  };
  try {
    return await work();
  } finally {
    globalThis.setInterval = setInterval;
    for (const timer of started) clearInterval(timer);
  }
}
