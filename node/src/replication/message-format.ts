/**
 * Messages between replicas as bytes. Numbers are little-endian. `docs/formats/replication.md`.
 *
 * ```text
 *  0 u8  kind                    30 by kind:
 *  1 u8  flags                      vote, preVote       u48 last index, u32 last term
 *  2 u16 bucket                     replies to these    -
 *  4 u32 length, all of it          append              u48 previous index, u32 previous term, u48 commit, frames
 *  8 8 bytes from                   appendReply         u48 index
 * 16 8 bytes to                     appendReject        u48 rejected, u48 hint, u32 hint term, u48 commit
 * 24 u32 term                       heartbeat           u48 commit, u48 round
 * 28 u16 zero                       heartbeatReply      u48 round
 *                                   timeoutNow          -
 *                                   pull                u48 commit
 *                                   pulled              u48 index
 * ```
 *
 * Flags: 1 granted, 2 a transfer, 4 the copy failed.
 */
import { readUint32, readUint48, writeUint32, writeUint48 } from '../storage/bytes.ts';
import { decodeConfiguration, encodeConfiguration } from '../storage/configuration-format.ts';
import {
  FRAME_HEADER_BYTES,
  frameIndex,
  frameKind,
  frameKindOf,
  frameLength,
  frameTerm,
} from '../storage/frame-format.ts';
import type { Configuration, Entry, Message, ReplicaId } from './raft/types.ts';

/** What the loops say to each other besides what the cores do. */
export type CopyMessage =
  /** Follower: copy the segments of the leader's log up to `commit`. */
  | {
      readonly kind: 'pull';
      readonly from: ReplicaId;
      readonly to: ReplicaId;
      readonly term: number;
      readonly commit: number;
    }
  /** Leader: the follower has everything up to `index`; null: it could not. */
  | {
      readonly kind: 'pulled';
      readonly from: ReplicaId;
      readonly to: ReplicaId;
      readonly term: number;
      readonly index: number | null;
    };

export type WireMessage = Message | CopyMessage;

const KINDS = [
  'preVote',
  'preVoteReply',
  'vote',
  'voteReply',
  'append',
  'appendReply',
  'appendReject',
  'heartbeat',
  'heartbeatReply',
  'timeoutNow',
  'pull',
  'pulled',
] as const;
const CODES = Object.fromEntries(KINDS.map((kind, at) => [kind, at + 1])) as Readonly<
  Record<WireMessage['kind'], number>
>;

const HEADER_BYTES = 30;
const GRANTED = 1;
const TRANSFER = 2;
const FAILED = 4;

export const APPEND_HEADER_BYTES: number = HEADER_BYTES + 16;
export const REPLICA_DIGITS = 16;

/** Ids that are remembered, both ways: a member meets the same few hundred in every message. */
const KNOWN_IDS_MAX = 16_384;

interface KnownId {
  readonly text: ReplicaId;
  /** Its bytes as two numbers, the way they are read and written here. */
  readonly low: number;
  readonly high: number;
}

const idsByLow = new Map<number, KnownId>();
const idsByText = new Map<ReplicaId, KnownId>();

/** The id of these bytes: always the same string, so that comparing and looking it up costs next to nothing. */
function readReplica(bytes: Uint8Array, at: number): ReplicaId {
  const low = readUint32(bytes, at) | 0;
  const high = readUint32(bytes, at + 4) | 0;
  const known = idsByLow.get(low);
  if (known?.high === high) return known.text;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, 8).toString('hex');
  return remember({ text, low, high }).text;
}

function writeReplica(bytes: Uint8Array, at: number, id: ReplicaId): void {
  const { low, high } = idsByText.get(id) ?? remember(knownIdOf(id));
  writeUint32(bytes, at, low);
  writeUint32(bytes, at + 4, high);
}

function knownIdOf(text: ReplicaId): KnownId {
  const bytes = Buffer.from(text, 'hex');
  return { text, low: readUint32(bytes, 0) | 0, high: readUint32(bytes, 4) | 0 };
}

function remember(known: KnownId): KnownId {
  if (idsByText.size >= KNOWN_IDS_MAX) {
    idsByLow.clear();
    idsByText.clear();
  }
  idsByLow.set(known.low, known);
  idsByText.set(known.text, known);
  return known;
}

export const replicaText = (bytes: Uint8Array): ReplicaId => readReplica(bytes, 0);

export const replicaBytes = (id: ReplicaId): Buffer => Buffer.from(id, 'hex');

export const configurationBytes = ({ voters, outgoing, learners }: Configuration): Buffer =>
  encodeConfiguration({
    voters: voters.map(replicaBytes),
    outgoing: outgoing.map(replicaBytes),
    learners: learners.map(replicaBytes),
  });

export function configurationOf(bytes: Uint8Array): Configuration {
  const { voters, outgoing, learners } = decodeConfiguration(bytes);
  return {
    voters: voters.map(replicaText),
    outgoing: outgoing.map(replicaText),
    learners: learners.map(replicaText),
  };
}

/** A message as bytes; `frames` are what an append carries. They are copied: the log may be cut while they are on their way. */
export function encodeMessage(
  bucket: number,
  message: WireMessage,
  frames: Uint8Array | null,
): Buffer {
  const body = bodyLength(message.kind);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + body + (frames?.length ?? 0));
  bytes[0] = CODES[message.kind];
  bytes[1] = 0;
  bytes[2] = bucket;
  bytes[3] = bucket >>> 8;
  writeUint32(bytes, 4, bytes.length);
  writeReplica(bytes, 8, message.from);
  writeReplica(bytes, 16, message.to);
  writeUint32(bytes, 24, message.term);
  bytes[28] = 0;
  bytes[29] = 0;
  writeBody(bytes, HEADER_BYTES, message);
  if (frames !== null) bytes.set(frames, HEADER_BYTES + body);
  return bytes;
}

function bodyLength(kind: WireMessage['kind']): number {
  switch (kind) {
    case 'preVote':
    case 'vote':
      return 10;
    case 'append':
      return 16;
    case 'appendReject':
      return 22;
    case 'heartbeat':
      return 12;
    case 'appendReply':
    case 'heartbeatReply':
    case 'pull':
    case 'pulled':
      return 6;
    case 'preVoteReply':
    case 'voteReply':
    case 'timeoutNow':
      return 0;
  }
}

function writeBody(bytes: Buffer, at: number, message: WireMessage): void {
  switch (message.kind) {
    case 'preVote':
    case 'vote':
      writeUint48(bytes, at, message.lastIndex);
      writeUint32(bytes, at + 6, message.lastTerm);
      if (message.isTransfer) bytes[1] = TRANSFER;
      return;
    case 'preVoteReply':
    case 'voteReply':
      if (message.granted) bytes[1] = GRANTED;
      return;
    case 'append':
      writeUint48(bytes, at, message.previousIndex);
      writeUint32(bytes, at + 6, message.previousTerm);
      writeUint48(bytes, at + 10, message.commit);
      return;
    case 'appendReply':
      writeUint48(bytes, at, message.index);
      return;
    case 'appendReject':
      writeUint48(bytes, at, message.rejectedIndex);
      writeUint48(bytes, at + 6, message.hintIndex);
      writeUint32(bytes, at + 12, message.hintTerm);
      writeUint48(bytes, at + 16, message.commit);
      return;
    case 'heartbeat':
      writeUint48(bytes, at, message.commit);
      writeUint48(bytes, at + 6, message.round);
      return;
    case 'heartbeatReply':
      writeUint48(bytes, at, message.round);
      return;
    case 'timeoutNow':
      return;
    case 'pull':
      writeUint48(bytes, at, message.commit);
      return;
    case 'pulled':
      writeUint48(bytes, at, message.index ?? 0);
      if (message.index === null) bytes[1] = FAILED;
  }
}

/** A message as it arrived; frames of an append stand at `bytes[framesAt..framesEnd)`. */
export interface Received {
  readonly bucket: number;
  readonly message: WireMessage;
  readonly bytes: Buffer;
  readonly framesAt: number;
  readonly framesEnd: number;
}

/** The messages of a batch. Throws a `RangeError` for what is none. */
export function* decodeBatch(bytes: Buffer): Generator<Received> {
  for (let at = 0; at < bytes.length;) {
    if (at + HEADER_BYTES > bytes.length) throw new RangeError('a message is cut short');
    const length = readUint32(bytes, at + 4);
    const kind = KINDS[(bytes[at] as number) - 1];
    if (kind === undefined) throw new RangeError(`unknown kind of message ${String(bytes[at])}`);
    const framesAt = at + HEADER_BYTES + bodyLength(kind);
    const end = at + length;
    if (end > bytes.length || framesAt > end) throw new RangeError('a message has a wrong length');
    yield {
      bucket: (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8),
      message: decodeMessage(bytes, at, kind, framesAt, end),
      bytes,
      framesAt,
      framesEnd: end,
    };
    at = end;
  }
}

function decodeMessage(
  bytes: Buffer,
  start: number,
  kind: WireMessage['kind'],
  framesAt: number,
  end: number,
): WireMessage {
  const flags = bytes[start + 1] as number;
  const at = start + HEADER_BYTES;
  const from = readReplica(bytes, start + 8);
  const to = readReplica(bytes, start + 16);
  const term = readUint32(bytes, start + 24);
  switch (kind) {
    case 'preVote':
    case 'vote': {
      const [lastIndex, lastTerm] = [readUint48(bytes, at), readUint32(bytes, at + 6)];
      return { kind, from, to, term, lastIndex, lastTerm, isTransfer: (flags & TRANSFER) !== 0 };
    }
    case 'preVoteReply':
    case 'voteReply':
      return { kind, from, to, term, granted: (flags & GRANTED) !== 0 };
    case 'append': {
      const previousIndex = readUint48(bytes, at);
      const previousTerm = readUint32(bytes, at + 6);
      const commit = readUint48(bytes, at + 10);
      const entries = entriesOf(bytes, framesAt, end);
      return { kind, from, to, term, previousIndex, previousTerm, commit, entries };
    }
    case 'appendReply':
      return { kind, from, to, term, index: readUint48(bytes, at) };
    case 'appendReject': {
      const [rejectedIndex, hintIndex] = [readUint48(bytes, at), readUint48(bytes, at + 6)];
      const [hintTerm, commit] = [readUint32(bytes, at + 12), readUint48(bytes, at + 16)];
      return { kind, from, to, term, rejectedIndex, hintIndex, hintTerm, commit };
    }
    case 'heartbeat':
      return {
        kind,
        from,
        to,
        term,
        commit: readUint48(bytes, at),
        round: readUint48(bytes, at + 6),
      };
    case 'heartbeatReply':
      return { kind, from, to, term, round: readUint48(bytes, at) };
    case 'timeoutNow':
      return { kind, from, to, term };
    case 'pull':
      return { kind, from, to, term, commit: readUint48(bytes, at) };
    case 'pulled': {
      const index = (flags & FAILED) !== 0 ? null : readUint48(bytes, at);
      return { kind, from, to, term, index };
    }
  }
}

/** What the core needs to know of frames that stand back to back. */
function entriesOf(bytes: Buffer, from: number, to: number): Entry[] {
  const entries: Entry[] = [];
  for (let at = from; at < to;) {
    const length = at + FRAME_HEADER_BYTES > to ? 0 : frameLength(bytes, at);
    if (length < FRAME_HEADER_BYTES || at + length > to)
      throw new RangeError('a frame is cut short');
    const isConfiguration = frameKindOf(bytes, at) === frameKind.configuration;
    entries.push({
      index: frameIndex(bytes, at),
      term: frameTerm(bytes, at),
      configuration: isConfiguration
        ? configurationOf(bytes.subarray(at + FRAME_HEADER_BYTES, at + length))
        : null,
    });
    at += length;
  }
  return entries;
}
