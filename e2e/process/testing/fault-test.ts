/** What all fault tests share. */

/** Of the faults and the load; which process is how fast is not said by it. */
export const seed: number = Number(process.env['SEED'] ?? 1 + Math.floor(Math.random() * 1e6));

/** Small files, so that a few seconds see many segments and laps of the journal; short waits for a leader. */
export const flags: readonly string[] = [
  ...['--set', 'segment.size_bytes=128KiB', '--set', 'journal.file_bytes=1MiB'],
  ...['--set', 'network.request_timeout_ms=1000', '--set', 'disk.reserve_bytes=0'],
];

/** Each takes about ten seconds on two idle cores, and six times as long on busy ones. */
export const limits = { timeout: 180_000 } as const;

/** Behind {@link flags}, where no fault should cost a client more than a wait: a busy machine may have it wait for long. */
export const patience: readonly string[] = ['--set', 'network.request_timeout_ms=10000'];
