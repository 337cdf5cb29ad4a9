/** What can be asked of the thread that builds derived files; plain values, because they travel between threads. */
import { DamageError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import { buildFilterSummary, type SummaryKind } from './filter-summary.ts';
import { buildSegmentIndexes, type SegmentSummary } from './segment-index-builder.ts';

export type IndexJob =
  | {
      readonly kind: 'index';
      readonly folder: string;
      readonly segment: number;
      readonly end: number;
    }
  | {
      readonly kind: 'summary';
      readonly folder: string;
      readonly of: SummaryKind;
      readonly segments: readonly number[];
    };

/** A failure as a value: classes do not survive the way between threads. */
export interface JobFailure {
  readonly damage?: { readonly segment: number; readonly offset: number; readonly reason: string };
  readonly message: string;
  /** The system error's code. */
  readonly code?: string;
}

/** `summary` is null where the job was a filter summary. */
export type JobResult =
  { readonly summary: SegmentSummary | null } | { readonly failure: JobFailure };

export async function runIndexJob(
  files: FileSystem,
  job: IndexJob,
): Promise<SegmentSummary | null> {
  if (job.kind === 'index') {
    return buildSegmentIndexes(files, job.folder, job.segment, job.end);
  }
  await buildFilterSummary(files, job.folder, job.of, job.segments);
  return null;
}

export function toFailure(error: unknown): JobFailure {
  const { message, code } = error as NodeJS.ErrnoException;
  const coded = code === undefined ? { message } : { message, code };
  if (!(error instanceof DamageError)) return coded;
  const { segment, offset, reason } = error;
  return { ...coded, damage: { segment, offset, reason } };
}

export function toError({ damage, message, code }: JobFailure): Error {
  if (damage !== undefined) return new DamageError(damage.segment, damage.offset, damage.reason);
  return code === undefined ? new Error(message) : Object.assign(new Error(message), { code });
}
