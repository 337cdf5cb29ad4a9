/** What is to be said about the walk through a bucket's log. Pure. */
import type { DamagedRange } from '../damage-scan.ts';
import type { BucketCheckpoint } from '../journal-format.ts';
import { segmentFileName } from '../names.ts';
import type { JournalSpan, WalkedSegment, WalkResult } from './bucket-walk.ts';
import type { Finding, FindingKind } from './report.ts';

interface Range {
  readonly segment: number;
  readonly from: number;
  readonly to: number;
}

const overlaps = (a: Range, b: Range): boolean =>
  a.segment === b.segment && a.from < b.to && b.from < a.to;

export class BucketFindings {
  readonly #walk: WalkResult;
  readonly #checkpoint: BucketCheckpoint | null;
  /** Of the bucket's segments, below the data directory. */
  readonly #folder: string;
  readonly #findings: Finding[] = [];

  constructor(walk: WalkResult, checkpoint: BucketCheckpoint | null, folder: string) {
    this.#walk = walk;
    this.#checkpoint = checkpoint;
    this.#folder = folder;
  }

  list(): Finding[] {
    const { segments, spans, damage, loss } = this.#walk;
    for (const segment of segments) this.#judgeSegment(segment);
    for (const span of spans.filter(({ promised }) => promised)) this.#healed(span);
    this.#inconsistent();
    if (loss !== null) this.#cut();
    else this.#leftovers();
    if (loss !== null) for (const range of damage) this.#behindCut(range);
    return this.#findings;
  }

  #add(kind: FindingKind, range: Range, problem: string, remedy: string): void {
    const { segment, from, to } = range;
    const file = `${this.#folder}/${segmentFileName(segment)}`;
    this.#findings.push({ kind, file, from, to, problem, remedy });
  }

  #judgeSegment({ number, headerFault, header, size, end }: WalkedSegment): void {
    if (headerFault !== null && this.#isPromised(number, 0)) {
      const to = 52 + 6 * header.nextSequences.length;
      this.#add(
        'damage',
        { segment: number, from: 0, to },
        headerFault,
        'made anew from the log, nothing is lost',
      );
    }
    const isLast = number === this.#walk.end.segment;
    if (!isLast && size !== null && size > end) {
      this.#add(
        'damage',
        { segment: number, from: end, to: size },
        'bytes behind the last frame of a segment that has ended',
        'cut off, nothing is lost',
      );
    }
  }

  #healed(span: JournalSpan): void {
    const reason = this.#walk.damage.find((range) => overlaps(range, span))?.reason;
    const many =
      span.frames.length === 1 ? '1 frame is' : `${String(span.frames.length)} frames are`;
    this.#add(
      'damage',
      span,
      `${many} damaged or missing${reason === undefined ? '' : `: ${reason}`}`,
      'taken from the journal, nothing is lost',
    );
  }

  #inconsistent(): void {
    for (const found of this.#walk.inconsistencies) {
      this.#add(
        'damage',
        found,
        `a frame that is whole contradicts those before it: ${found.fault}`,
        'stays as it is: no disk does this; please report it',
      );
    }
  }

  #cut(): void {
    const { end, damage, segments } = this.#walk;
    const { segment, offset: from } = end;
    const range = damage.find((r) => r.segment === segment && r.from <= from && from < r.to);
    const size = segments.at(-1)?.size ?? null;
    const problem =
      range?.reason ??
      (size === null
        ? 'the file is missing'
        : `frame ${String(end.index + 1)} is not here, nor in the journal`);
    this.#add(
      'damage',
      { segment, from, to: range?.to ?? from },
      problem,
      'the log is cut here; what is behind is moved aside',
    );
  }

  #behindCut(range: DamagedRange): void {
    const { segment, offset } = this.#walk.end;
    if (range.segment < segment || (range.segment === segment && range.from <= offset)) return;
    this.#add('damage', range, range.reason, 'lies behind the cut');
  }

  /** What a crash leaves; without a checkpoint nobody can tell it from damage, and nothing whole is behind it. */
  #leftovers(): void {
    const { end, segments, strays, spans } = this.#walk;
    const size = segments.at(-1)?.size ?? 0;
    if (size > end.offset) {
      this.#add(
        'note',
        { segment: end.segment, from: end.offset, to: size },
        'bytes behind the end of the log',
        'overwritten or cut off by the next start',
      );
    }
    for (const [segment, to] of strays) {
      this.#add(
        'note',
        { segment, from: 0, to },
        'a segment behind the end of the log',
        'removed by the next start',
      );
    }
    const replayed = spans.filter(({ promised }) => !promised);
    const frames = replayed.reduce((sum, span) => sum + span.frames.length, 0);
    const first = replayed[0];
    if (first !== undefined) {
      this.#add(
        'note',
        { ...first, to: first.from },
        `the log goes on with ${String(frames)} frames that only the journal has`,
        'written here by the next start',
      );
    }
  }

  #isPromised(segment: number, offset: number): boolean {
    if (this.#checkpoint === null) return true;
    const { end } = this.#checkpoint;
    return segment < end.segment || (segment === end.segment && offset < end.offset);
  }
}
