/** What an inspection of a data directory found; plain values, so that they print as JSON. */
import type { LogPosition } from '../journal-format.ts';

/**
 * `damage`: the log is not what was written; the node refuses to start or to serve part of it. `index`: a derived file is
 * damaged; it is built again and nothing is lost. `note`: what a crash leaves behind; the next start deals with it.
 */
export type FindingKind = 'damage' | 'index' | 'note';

export interface Finding {
  readonly kind: FindingKind;
  /** Path below the data directory. */
  readonly file: string;
  /** Byte range in the file; `to` is exclusive. Both 0 for the file as a whole. */
  readonly from: number;
  readonly to: number;
  readonly problem: string;
  /** What `repair`, or for a note the next start, does about it. */
  readonly remedy: string;
}

export interface LostSequences {
  readonly partition: number;
  /** Both ends inclusive. */
  readonly from: number;
  readonly to: number;
}

export interface LostVersions {
  readonly streamId: string;
  /** Both ends inclusive; versions before `from` may have stood where nothing can be read. */
  readonly from: number;
  readonly to: number;
}

/** What a bucket cannot keep. */
export interface Loss {
  readonly bucket: number;
  /** Where the log ends after a repair. */
  readonly end: LogPosition;
  /** Frames behind that end: transactions, and the first entries of terms. */
  readonly frames: number;
  /** Of these, frames that could not be read: what was in them is only known by the gap that they leave. */
  readonly framesUnread: number;
  /** Events, as far as sequences tell. */
  readonly events: number;
  readonly partitions: readonly LostSequences[];
  /** Streams met in frames that could be read, at most {@link LOST_STREAMS_MAX} of them. */
  readonly streams: readonly LostVersions[];
  readonly streamsOmitted: number;
}

export const LOST_STREAMS_MAX = 1000;

export interface BucketReport {
  readonly bucket: number;
  /** Segment files that the log occupies. */
  readonly segments: number;
  /** What the log holds, or after a repair will hold. */
  readonly frames: number;
  readonly events: number;
}

export interface VerifyReport {
  readonly directory: string;
  readonly formatVersion: number;
  readonly bucketCount: number;
  readonly partitionCount: number;
  /** No damage, of the log or of derived files. */
  readonly clean: boolean;
  readonly buckets: readonly BucketReport[];
  readonly findings: readonly Finding[];
  readonly losses: readonly Loss[];
  /** True where the journal is damaged: of what it alone held, nothing can be said where nothing can be read. */
  readonly lossUnknown: boolean;
}

const range = ({ from, to }: Finding): string =>
  from === 0 && to === 0 ? '' : ` bytes ${String(from)} to ${String(to)}`;

/** `1 event`, `2 events`. */
const counted = (count: number, noun: string): string =>
  `${String(count)} ${noun}${count === 1 ? '' : 's'}`;

/** The report for people. */
export function formatReport(report: VerifyReport): string {
  const lines = [
    `${report.directory}: format version ${String(report.formatVersion)}, ` +
      `${counted(report.bucketCount, 'bucket')}, ${counted(report.partitionCount, 'partition')}`,
  ];
  for (const { bucket, segments, frames, events } of report.buckets) {
    lines.push(
      `bucket ${String(bucket)}: ${counted(segments, 'segment')}, ${counted(frames, 'frame')}, ${counted(events, 'event')}`,
    );
  }
  for (const finding of report.findings) {
    lines.push(`${finding.kind}: ${finding.file}${range(finding)}: ${finding.problem}`);
    lines.push(`  ${finding.remedy}`);
  }
  for (const loss of report.losses) lines.push(...lossLines(loss));
  if (report.lossUnknown) {
    lines.push(
      'lost: what stood only in the damaged part of the journal, appends of its last moments; how much cannot be told',
    );
  }
  lines.push(verdict(report));
  return `${lines.join('\n')}\n`;
}

function lossLines(loss: Loss): string[] {
  const { bucket, end, frames, framesUnread, events, partitions, streams, streamsOmitted } = loss;
  const lines = [
    `lost in bucket ${String(bucket)} behind frame ${String(end.index)} (segment ${String(end.segment)}, byte ${String(end.offset)}): ` +
      `${counted(frames, 'frame')}, ${String(framesUnread)} of them unreadable; at least ${counted(events, 'event')}`,
  ];
  for (const { partition, from, to } of partitions) {
    lines.push(`  partition ${String(partition)}: sequences ${String(from)} to ${String(to)}`);
  }
  for (const { streamId, from, to } of streams) {
    lines.push(`  stream ${JSON.stringify(streamId)}: versions ${String(from)} to ${String(to)}`);
  }
  if (streamsOmitted > 0) lines.push(`  and ${counted(streamsOmitted, 'more stream')}`);
  return lines;
}

function verdict({ clean, losses, lossUnknown, directory }: VerifyReport): string {
  if (clean) return 'clean';
  const cost = losses.length > 0 || lossUnknown ? 'loses what is listed above' : 'loses nothing';
  return `damaged; "sierradb repair ${directory} --yes" ${cost}`;
}
