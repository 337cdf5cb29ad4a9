/**
 * Two buffers that pieces of a segment arrive in by turns: one is filled while what is in the other is taken. A piece seldom
 * ends with a frame; the beginning of the next one's first frame is put before it.
 */
import type { Landing } from './ranged-read.ts';

/** Room before a piece; frames are seldom longer. */
const ROOM_BYTES = 256 * 1024;

interface PieceBuffer {
  readonly whole: Buffer;
  readonly landing: Landing;
}

export class PieceBuffers {
  readonly #pair: readonly [PieceBuffer, PieceBuffer];
  /** Which is filled next, or being filled. */
  #next: 0 | 1 = 0;

  constructor(pieceBytes: number) {
    this.#pair = [pieceBuffer(pieceBytes), pieceBuffer(pieceBytes)];
  }

  /** Where the next piece may go; what the one before the latest has brought is gone then. */
  get landing(): Landing {
    return this.#pair[this.#next].landing;
  }

  /** The piece behind `rest`, which is the end of the piece before; from now on the next one may be asked for. */
  joined(rest: Buffer, piece: Buffer): Buffer {
    const { whole, landing } = this.#pair[this.#next];
    this.#next = this.#next === 0 ? 1 : 0;
    if (rest.length === 0) return piece;
    const isLanded =
      piece.buffer === whole.buffer && piece.byteOffset === landing.buffer.byteOffset;
    if (!isLanded || rest.length > ROOM_BYTES) return Buffer.concat([rest, piece]);
    const from = ROOM_BYTES - rest.length;
    rest.copy(whole, from);
    return whole.subarray(from, ROOM_BYTES + piece.length);
  }
}

function pieceBuffer(pieceBytes: number): PieceBuffer {
  const whole = Buffer.allocUnsafeSlow(ROOM_BYTES + pieceBytes);
  return { whole, landing: { buffer: whole.subarray(ROOM_BYTES), isBusy: false } };
}
