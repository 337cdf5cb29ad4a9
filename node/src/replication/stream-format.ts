/**
 * What goes over a stream between two members: frames, both ways, after an HTTP/1.1 upgrade (`GET /v1/stream`). Numbers are
 * little-endian.
 *
 * ```text
 * frame:  u32 length of what follows, u8 kind, then by kind
 *   1 sender     who sends from now on: JSON, names and values of the members' headers by turns
 *   2 messages   a batch of messages of Raft groups (`message-format.ts`)
 *   3 request    u32 id, u16 bucket, forwarded commands (`cluster/forwarding.ts`)
 *   4 received   u32 how many frames of the other side have been taken so far, modulo 2^32
 *   5 answer     u32 id, u16 status as in HTTP; 200: the answers, otherwise the reason as text
 *   6 closed     u16 status as in HTTP, the reason as text: nothing follows
 * ```
 *
 * The member that has opened the stream sends the first three, the other one the last three.
 */
import { readUint32, writeUint32 } from '../storage/bytes.ts';

export const frameKinds = {
  sender: 1,
  messages: 2,
  request: 3,
  received: 4,
  answer: 5,
  closed: 6,
} as const;

/** What stands before a frame's body. */
export const FRAME_HEAD_BYTES = 5;
/** The largest frame: 1 MiB of messages and one message more, or answers of a few pages. */
export const STREAM_FRAME_BYTES_MAX: number = 64 * 1024 * 1024;

/** Id, and bucket or status, of a request or an answer. */
const EXCHANGE_BYTES = 6;

/** What is larger is written as it is; the rest is put together. */
const JOINED_BYTES_MAX = 64 * 1024;

/** Writes length and kind in front of a body of so many bytes. */
export function writeFrameHead(bytes: Buffer, at: number, kind: number, bodyBytes: number): void {
  writeUint32(bytes, at, bodyBytes + 1);
  bytes[at + 4] = kind;
}

function frame(kind: number, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEAD_BYTES + body.length);
  writeFrameHead(bytes, 0, kind, body.length);
  bytes.set(body, FRAME_HEAD_BYTES);
  return bytes;
}

export const senderFrame = (headers: readonly string[]): Buffer =>
  frame(frameKinds.sender, Buffer.from(JSON.stringify(headers)));

/** What stands before the commands of a request. */
export const requestHead = (id: number, bucket: number, bodyBytes: number): Buffer =>
  exchangeHead(frameKinds.request, id, bucket, bodyBytes);

/** What stands before an answer. */
export const answerHead = (id: number, status: number, bodyBytes: number): Buffer =>
  exchangeHead(frameKinds.answer, id, status, bodyBytes);

function exchangeHead(kind: number, id: number, number: number, bodyBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEAD_BYTES + EXCHANGE_BYTES);
  writeFrameHead(bytes, 0, kind, bodyBytes + EXCHANGE_BYTES);
  writeUint32(bytes, FRAME_HEAD_BYTES, id);
  bytes.writeUInt16LE(number, FRAME_HEAD_BYTES + 4);
  return bytes;
}

export function receivedFrame(count: number): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEAD_BYTES + 4);
  writeFrameHead(bytes, 0, frameKinds.received, 4);
  writeUint32(bytes, FRAME_HEAD_BYTES, count);
  return bytes;
}

export function closedFrame(status: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  const body = Buffer.allocUnsafe(2 + text.length);
  body.writeUInt16LE(status, 0);
  body.set(text, 2);
  return frame(frameKinds.closed, body);
}

/** As it arrived: the bytes may be part of a larger buffer. */
export interface StreamFrame {
  readonly kind: number;
  readonly body: Buffer;
}

/** Id, and bucket or status, before the rest of a request or an answer. Throws a `RangeError` where they are missing. */
export function readExchange(body: Buffer): { id: number; number: number; rest: Buffer } {
  if (body.length < EXCHANGE_BYTES) throw new RangeError('a frame is too short');
  const rest = body.subarray(EXCHANGE_BYTES);
  return { id: readUint32(body, 0), number: body.readUInt16LE(4), rest };
}

export function readReceived(body: Buffer): number {
  if (body.length !== 4) throw new RangeError('a frame has a wrong length');
  return readUint32(body, 0);
}

export function readClosed(body: Buffer): { status: number; reason: string } {
  if (body.length < 2) throw new RangeError('a frame is too short');
  return { status: body.readUInt16LE(0), reason: body.toString('utf8', 2) };
}

/** Throws a `RangeError` for what is no list of headers. */
export function readSender(body: Buffer): Record<string, string> {
  const list = parsed(body);
  const isList = Array.isArray(list) && list.every((entry) => typeof entry === 'string');
  if (!isList || list.length % 2 !== 0) throw new RangeError('a sender is a list of headers');
  const headers: Record<string, string> = {};
  for (let i = 0; i < list.length; i += 2) headers[list[i] as string] = list[i + 1] as string;
  return headers;
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

/** What is written to: a socket. */
export interface ByteSink {
  cork(): void;
  uncork(): void;
  write(bytes: Uint8Array): boolean;
}

/** Writes pieces with one call of the system, as far as it takes them. */
export function writePieces(sink: ByteSink, pieces: readonly Buffer[]): void {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (bytes <= JOINED_BYTES_MAX) {
    sink.write(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, bytes));
    return;
  }
  sink.cork();
  for (const piece of pieces) sink.write(piece);
  sink.uncork();
}
