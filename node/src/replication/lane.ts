/**
 * One lane of Raft messages to one peer: they leave in batches over a stream of their own, so that the other lane's never
 * stand before them.
 *
 * Invariants
 * - At most `batchesMax` batches and about `bytesMax` bytes are untaken; what is sent meanwhile gathers, and leaves in one batch.
 * - Messages of one turn of the event loop leave together. No timer delays a message while the peer takes what it is sent.
 * - Batches arrive in the order in which they were made.
 * - What was on its way when the stream ended is lost: Raft repeats what matters.
 */
import { MessageQueue } from './message-queue.ts';
import { type LinkFailure, PeerLink, type PeerLinkOptions } from './peer-link.ts';
import { FRAME_HEAD_BYTES, frameKinds, writeFrameHead } from './stream-format.ts';

const BATCH_BYTES = 1024 * 1024;

export interface LaneOptions extends PeerLinkOptions {
  /** What may be on its way. */
  readonly batchesMax: number;
  readonly bytesMax: number;
  readonly queueBytesMax: number;
  /** The member has said why it takes nothing. */
  readonly onRefused: (reason: string) => void;
}

export interface LaneStatistics {
  /** Batches of messages. */
  readonly requests: number;
  readonly messages: number;
  readonly bytes: number;
  /** Streams that have ended, or did not begin. */
  readonly failures: number;
  /** Messages that were given up for room. */
  readonly dropped: number;
  readonly lastFailure: string | null;
}

export class Lane {
  readonly #onRefused: (reason: string) => void;
  readonly #batchesMax: number;
  readonly #bytesMax: number;
  readonly #queue: MessageQueue;
  readonly #link: PeerLink;
  #isScheduled = false;
  #isClosed = false;
  #requests = 0;
  #messages = 0;
  #bytes = 0;
  #failures = 0;
  #lastFailure: string | null = null;

  constructor(options: LaneOptions) {
    this.#onRefused = options.onRefused;
    this.#batchesMax = options.batchesMax;
    this.#bytesMax = options.bytesMax;
    this.#queue = new MessageQueue(options.queueBytesMax);
    this.#link = new PeerLink(options, {
      ready: () => this.#flush(),
      failed: (failure) => this.#failed(failure),
      // Nothing was asked.
      answered: () => undefined,
    });
  }

  get statistics(): LaneStatistics {
    return {
      requests: this.#requests,
      messages: this.#messages,
      bytes: this.#bytes,
      failures: this.#failures,
      dropped: this.#queue.dropped,
      lastFailure: this.#lastFailure,
    };
  }

  send(message: Buffer): void {
    if (this.#isClosed) return;
    this.#queue.add(message);
    if (this.#isScheduled || !this.#mayLeave) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#queue.clear();
    this.#link.close();
  }

  get #mayLeave(): boolean {
    const { untaken, untakenBytes } = this.#link;
    return untaken < this.#batchesMax && untakenBytes < this.#bytesMax;
  }

  #flush(): void {
    if (this.#isClosed || this.#queue.isEmpty) return;
    if (!this.#link.isOpen) {
      this.#link.wake();
      return;
    }
    while (this.#mayLeave) {
      const { bytes, count } = this.#queue.take(BATCH_BYTES, FRAME_HEAD_BYTES);
      if (count === 0) return;
      const bodyBytes = bytes.length - FRAME_HEAD_BYTES;
      writeFrameHead(bytes, 0, frameKinds.messages, bodyBytes);
      this.#requests += 1;
      this.#messages += count;
      this.#bytes += bodyBytes;
      this.#link.write([bytes], 1);
    }
  }

  #failed({ reason, status }: LinkFailure): void {
    this.#failures += 1;
    this.#lastFailure = reason;
    if (status !== null) this.#onRefused(reason);
  }
}
