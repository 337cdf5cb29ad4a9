/**
 * A stream of another member, upgraded: takes its messages and runs its requests until either side ends it.
 *
 * Invariants
 * - Who sends is admitted anew with every frame; whoever is not any more is told why, and the stream closed.
 * - Messages are taken, and requests begun, in the order of their arrival. Requests are answered as they are done.
 * - What goes back in one turn of the event loop goes with one write.
 * - What a member has asked for, and does not take the answers of, is bounded: it is not read from meanwhile.
 */
import type { Socket } from 'node:net';

import type { MemberService, Sender } from '../cluster/types.ts';
import {
  answerHead,
  closedFrame,
  frameKinds,
  readExchange,
  readSender,
  receivedFrame,
  type StreamFrame,
  writePieces,
} from '../replication/stream-format.ts';
import { StreamReader } from '../replication/stream-reader.ts';
import { type Admission, HttpRefusal, requireMember, senderOf, statusOf } from './admission.ts';

/** Requests that are not answered, and answers that are not taken. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** What a member has on its way at most until it is told that it was taken. */
const TELL_BYTES = 256 * 1024;
const TELL_FRAMES = 64;
const TELL_MS = 250;
const KEEP_ALIVE_MS = 30_000;
/** Whoever is told why, and does not close then, is cut off. */
export const CLOSE_MS = 5000;

export interface MemberStreamParts {
  readonly socket: Socket;
  readonly sender: Sender;
  readonly admission: Admission;
  readonly service: Pick<MemberService, 'receive' | 'runCommands'>;
  readonly frameBytesMax: number;
  /** A request failed for no reason that a member could give. */
  readonly onError: (error: Error) => void;
  /** It has ended; with the reason, where that was the member's or a fault here. */
  readonly onEnd: (reason: Error | null) => void;
}

export class MemberStream {
  readonly #parts: MemberStreamParts;
  readonly #reader: StreamReader;
  #sender: Sender;
  /** Frames. */
  #taken = 0;
  #told = 0;
  #untoldBytes = 0;
  #answers: Buffer[] = [];
  #isScheduled = false;
  #tellLater: NodeJS.Timeout | null = null;
  /** Of requests that are run. */
  #runningBytes = 0;
  #isPaused = false;
  #isEnded = false;

  constructor(parts: MemberStreamParts) {
    this.#parts = parts;
    this.#sender = parts.sender;
    this.#reader = new StreamReader(parts.frameBytesMax);
    const { socket } = parts;
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('drain', () => this.#resume());
    socket.on('end', () => socket.end());
    socket.on('error', () => this.#end(null));
    socket.on('close', () => this.#end(null));
  }

  get sender(): Sender {
    return this.#sender;
  }

  /** What came with the upgrade already. */
  begin(head: Buffer): void {
    if (head.length > 0) this.#read(head);
  }

  /** Tells the member why, and breaks the stream off. */
  refuse(error: Error): void {
    if (this.#isEnded) return;
    const { socket } = this.#parts;
    // What was answered before is said before.
    this.#flush();
    socket.end(closedFrame(statusOf(error), error.message));
    socket.setTimeout(CLOSE_MS, () => socket.destroy());
    this.#end(error);
  }

  destroy(): void {
    this.#end(null);
    this.#parts.socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#isEnded) return;
    try {
      for (const frame of this.#reader.read(chunk)) this.#take(frame);
    } catch (error) {
      this.refuse(error as Error);
    }
  }

  #take({ kind, body }: StreamFrame): void {
    const { admission, service } = this.#parts;
    switch (kind) {
      case frameKinds.messages:
        admission.admitAgain(this.#sender);
        service.receive(body);
        this.#tookFrame(body);
        return;
      case frameKinds.request:
        admission.admitAgain(this.#sender);
        this.#run(body);
        return;
      case frameKinds.sender:
        this.#rename(requireMember(senderOf(readSender(body))));
        this.#tookFrame(body);
        return;
      default:
        throw new RangeError(`a frame of kind ${String(kind)}`);
    }
  }

  #rename(sender: Sender): void {
    if (sender.member !== this.#sender.member) {
      throw new HttpRefusal(400, 'a stream belongs to one member');
    }
    this.#parts.admission.admitAgain(sender);
    this.#sender = sender;
  }

  #run(body: Buffer): void {
    const { id, number: bucket, rest } = readExchange(body);
    this.#tookFrame(body);
    this.#runningBytes += body.length;
    this.#pause();
    this.#parts.service.runCommands(bucket, rest).then(
      (answer) => this.#answer(id, 200, answer, body.length),
      (error: unknown) => this.#failed(id, error as Error, body.length),
    );
  }

  #answer(id: number, status: number, answer: Buffer, requestBytes: number): void {
    this.#runningBytes -= requestBytes;
    if (this.#isEnded) return;
    this.#answers.push(answerHead(id, status, answer.length), answer);
    this.#schedule();
  }

  #failed(id: number, error: Error, requestBytes: number): void {
    const status = statusOf(error);
    if (status >= 500) this.#parts.onError(error);
    this.#answer(id, status, Buffer.from(error.message), requestBytes);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#isEnded) return;
      this.#flush();
      this.#pause();
      this.#resume();
    });
  }

  #flush(): void {
    const pieces = this.#answers;
    this.#answers = [];
    if (this.#told !== this.#taken) {
      this.#told = this.#taken;
      this.#untoldBytes = 0;
      pieces.unshift(receivedFrame(this.#taken >>> 0));
    }
    if (pieces.length > 0) writePieces(this.#parts.socket, pieces);
  }

  /** The member is told with the next answer, when it has much on its way, or after a while: a write costs more than a frame. */
  #tookFrame({ length }: Buffer): void {
    this.#taken += 1;
    this.#untoldBytes += length;
    const isMuch = this.#untoldBytes >= TELL_BYTES || this.#taken - this.#told >= TELL_FRAMES;
    if (isMuch) this.#schedule();
    else if (this.#tellLater === null) {
      this.#tellLater = setTimeout(() => {
        this.#tellLater = null;
        this.#schedule();
      }, TELL_MS).unref();
    }
  }

  get #pendingBytes(): number {
    return this.#runningBytes + this.#parts.socket.writableLength;
  }

  #pause(): void {
    if (this.#isPaused || this.#pendingBytes < PENDING_BYTES_MAX) return;
    this.#isPaused = true;
    this.#parts.socket.pause();
  }

  #resume(): void {
    if (!this.#isPaused || this.#isEnded || this.#pendingBytes >= PENDING_BYTES_MAX) return;
    this.#isPaused = false;
    this.#parts.socket.resume();
  }

  #end(reason: Error | null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#tellLater !== null) clearTimeout(this.#tellLater);
    this.#answers = [];
    this.#parts.onEnd(reason);
  }
}
