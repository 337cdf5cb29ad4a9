/** Longer than any honest pause; a run that hangs must end with a message. */
const STALL_MS = 30_000;

/** Calls `fail` when `progress` answers the same for 30 s. Returns what ends the watch. */
export function watchStall(progress: () => number, fail: (error: Error) => void): () => void {
  let seen = -1;
  const timer = setInterval(() => {
    const now = progress();
    if (now === seen) fail(new Error(`nothing arrived for ${String(STALL_MS / 1000)} s`));
    seen = now;
  }, STALL_MS);
  return () => {
    clearInterval(timer);
  };
}
