import { assert } from '../../common/assert.ts';
import {
  encodeCommand,
  EVENT_NAME,
  makePayload,
  STREAM_DIGITS,
  STREAM_PLACEHOLDER,
  STREAM_PREFIX,
  writeDigits,
} from './requests.ts';

const SENDER_DIGITS = 4;
const REQUEST_DIGITS = 9;
const TAG_DIGITS = SENDER_DIGITS + REQUEST_DIGITS;

/**
 * One event for any stream, with digits that come back in the push of the event: who sent it, and which of theirs it is.
 */
export class TaggedAppend {
  readonly #template: Buffer;
  readonly #streamAt: number;
  readonly #tagAt: number;

  constructor() {
    const payload = '0'.repeat(TAG_DIGITS) + makePayload().slice(TAG_DIGITS);
    const words = ['EAPPEND', STREAM_PLACEHOLDER, EVENT_NAME, 'PAYLOAD', payload];
    this.#template = Buffer.from(encodeCommand(...words));
    this.#streamAt = this.#template.indexOf(STREAM_PLACEHOLDER) + STREAM_PREFIX.length;
    this.#tagAt = this.#template.indexOf(payload);
  }

  /** The request, in bytes of its own. */
  make(stream: number, sender: number, request: number): Buffer {
    const bytes = Buffer.from(this.#template);
    writeDigits(bytes, this.#streamAt, STREAM_DIGITS, stream);
    writeDigits(bytes, this.#tagAt, SENDER_DIGITS, sender);
    writeDigits(bytes, this.#tagAt + SENDER_DIGITS, REQUEST_DIGITS, request);
    return bytes;
  }
}

function readDigits(bytes: Uint8Array, at: number, digits: number): number {
  assert(at >= 0, 'the place of the payload is known');
  let value = 0;
  for (let i = at; i < at + digits; i += 1) value = value * 10 + (bytes[i] as number) - 0x30;
  return value;
}

/** Who sent the event with this payload. */
export const senderOf = (bytes: Uint8Array, payloadAt: number): number =>
  readDigits(bytes, payloadAt, SENDER_DIGITS);

/** Which of its sender's events it is. */
export const requestOf = (bytes: Uint8Array, payloadAt: number): number =>
  readDigits(bytes, payloadAt + SENDER_DIGITS, REQUEST_DIGITS);
