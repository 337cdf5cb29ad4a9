/**
 * Copies one bucket's committed frames from another replica's segments to the end of this replica's log.
 *
 * Invariants
 * - It goes on where the committed part of this log ends, so what was copied before is not copied again.
 * - Every frame is checked before it is taken: its checksum, its place, and that it continues the chain from this log's own
 *   committed frames. What does not is never taken, whoever sends it.
 * - At most two pieces are taken and not durable.
 * - While clients append it takes a share of the time; more where it would never end otherwise.
 */
import type { LogPosition } from '../storage/journal-format.ts';
import { chainFault } from '../storage/frame-chain.ts';
import {
  FRAME_HEADER_BYTES,
  frameCrc,
  frameFault,
  frameIndex,
  frameLength,
  frameOffset,
  frameSegment,
  frameTerm,
} from '../storage/frame-format.ts';
import type { LogCopyOptions, SegmentSource } from './log-copies.ts';
import type { PieceBuffers } from './piece-buffers.ts';
import type { RaftGroup } from './raft-group.ts';

/** Frames that are taken in one turn of the event loop. */
const SLICE_BYTES = 256 * 1024;
const NOTHING: Buffer = Buffer.alloc(0);

type Options = Pick<Required<LogCopyOptions>, 'pieceBytes' | 'breathe' | 'pace'>;

export const errorText = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class LogCopy {
  readonly #group: RaftGroup;
  readonly #source: SegmentSource;
  readonly #member: string;
  readonly #options: Options;
  readonly #buffers: PieceBuffers;
  readonly #signal: AbortSignal;
  /** Behind the last frame that was taken. */
  #at: LogPosition;
  /** Everything up to here was taken a piece ago. */
  #before = 0;
  #bytes = 0;
  #haste = 1;
  #isSourceBusy = false;

  constructor(
    group: RaftGroup,
    source: SegmentSource,
    member: string,
    options: Options,
    buffers: PieceBuffers,
    signal: AbortSignal,
  ) {
    this.#group = group;
    this.#source = source;
    this.#member = member;
    this.#options = options;
    this.#buffers = buffers;
    this.#signal = signal;
    this.#at = group.log.committedEnd;
  }

  /** Bytes of frames that were taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Until the other replica's files have no more; resolves with the end when it is durable here. */
  async run(): Promise<LogPosition> {
    // Asked before anything is fetched, too.
    this.#requireSpace(0);
    let start = -1;
    for (let lacked = Infinity; start !== this.#bytes;) {
      start = this.#bytes;
      await this.#copyListed();
      const copied = this.#bytes - start;
      // Clients have added as much meanwhile as this has copied, or nearly so.
      if (copied > lacked / 2) this.#haste *= 2;
      lacked = copied;
    }
    await this.#durable(this.#at.index);
    return this.#at;
  }

  async #copyListed(): Promise<void> {
    const { bucket, segmentHeaderBytes } = this.#group.log;
    const listed = await this.#source.segments(this.#member, bucket, this.#signal);
    for (const { segment, bytes } of listed) {
      if (segment < this.#at.segment) continue;
      const from = segment === this.#at.segment ? this.#at.offset : segmentHeaderBytes;
      if (from < bytes) await this.#copySegment(segment, from, bytes);
    }
  }

  /** Reads the next piece while one is being taken. */
  async #copySegment(segment: number, from: number, to: number): Promise<void> {
    let rest: Buffer = NOTHING;
    let next = this.#read(segment, from, to);
    for (let at = from; at < to;) {
      const piece = await next;
      if (piece.length === 0) throw new Error(`segment ${String(segment)} ends early`);
      at += piece.length;
      this.#isSourceBusy = this.#buffers.landing.isBusy;
      const bytes = this.#buffers.joined(rest, piece);
      if (at < to) next = this.#read(segment, at, to);
      rest = await this.#takePiece(bytes);
    }
    if (rest.length > 0) throw new Error(`segment ${String(segment)} ends within a frame`);
  }

  #read(segment: number, from: number, to: number): Promise<Buffer> {
    const { bucket } = this.#group.log;
    const end = Math.min(to, from + this.#options.pieceBytes);
    const { landing } = this.#buffers;
    landing.isBusy = false;
    const asked = [this.#member, bucket, segment, from, end, this.#signal, landing] as const;
    const reading = this.#source.read(...asked);
    // Whoever awaits it hears of it, unless something else fails first.
    reading.catch(() => undefined);
    return reading;
  }

  /** Takes the whole frames at the start of `bytes`; returns what follows them. */
  async #takePiece(bytes: Buffer): Promise<Buffer> {
    await this.#durable(this.#before);
    this.#before = this.#at.index;
    for (let from = 0; ;) {
      const work = this.#options.pace.begin();
      const to = this.#checked(bytes, from);
      if (to === from) return bytes.subarray(from);
      this.#requireSpace(to - from);
      const fault = this.#group.takeCommitted(bytes, from, to);
      if (fault !== null) throw new Error(fault);
      this.#bytes += to - from;
      from = to;
      work.end();
      await this.#options.breathe();
      await work.rest({ isSourceBusy: this.#isSourceBusy, haste: this.#haste }, this.#signal);
      this.#signal.throwIfAborted();
      this.#refuseStopped();
    }
  }

  /** The end of the next slice of whole frames; they continue what was taken. */
  #checked(bytes: Buffer, from: number): number {
    let at = from;
    while (at - from < SLICE_BYTES && bytes.length - at >= FRAME_HEADER_BYTES) {
      const length = frameLength(bytes, at);
      if (length > this.#group.log.frameBytesMax) throw new Error('a frame has a wrong length');
      if (length > bytes.length - at) break;
      this.#pass(bytes, at);
      at += length;
    }
    return at;
  }

  #pass(bytes: Buffer, at: number): void {
    const { segmentHeaderBytes } = this.#group.log;
    const segment = frameSegment(bytes, at);
    const offset = frameOffset(bytes, at);
    const fault =
      frameFault(bytes, at, bytes.length, segment, offset) ??
      chainFault(this.#at, segmentHeaderBytes, bytes, at);
    if (fault !== null)
      throw new Error(`segment ${String(segment)} at ${String(offset)}: ${fault}`);
    this.#at = {
      segment,
      offset: offset + frameLength(bytes, at),
      index: frameIndex(bytes, at),
      term: frameTerm(bytes, at),
      crc: frameCrc(bytes, at),
    };
  }

  async #durable(index: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        reject(this.#signal.reason as Error);
      };
      this.#signal.throwIfAborted();
      this.#signal.addEventListener('abort', abort, { once: true });
      void this.#group.durable(index).then(() => {
        this.#signal.removeEventListener('abort', abort);
        resolve();
      });
    });
    // Whoever waits is woken then, too: what the disk did not take is not durable.
    this.#refuseStopped();
  }

  /** What is kept free is kept for what a majority waits for. */
  #requireSpace(bytes: number): void {
    if (!this.#group.log.sealed.takesSpace(bytes))
      throw new Error('the disk has no room for a copy');
  }

  #refuseStopped(): void {
    if (this.#group.state === 'stopped') throw new Error('the group has stopped');
  }
}
