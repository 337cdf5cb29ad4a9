/**
 * `sierradb verify`: reads a whole data directory and says what is wrong with it, what a repair would do and what it
 * would lose. Changes nothing; a directory in use is refused.
 *
 * ```ts
 * const report = await verifyDirectory(new RealFileSystem(), './data');
 * process.stdout.write(formatReport(report));
 * ```
 *
 * Checked: every frame's checksum, place and chain; segment headers against the log; sequences and versions for gaps;
 * the journal by the tables of `journal-scan.ts`; index files byte by byte against what their segment gives. Memory: the
 * journal's files, and some 40 bytes for each stream of one bucket.
 */
import type { FileSystem } from './file-system.ts';
import { inspect, lockForInspection } from './inspect/inspection.ts';
import type { VerifyReport } from './inspect/report.ts';

export { formatReport } from './inspect/report.ts';
export type { Finding, FindingKind, Loss, VerifyReport } from './inspect/report.ts';

/** Rejects with an OpenError where the directory is in use, or is none, or of another format version. */
export async function verifyDirectory(files: FileSystem, directory: string): Promise<VerifyReport> {
  const lock = await lockForInspection(files, directory);
  try {
    return (await inspect(files, directory)).report;
  } finally {
    await lock.release();
  }
}
