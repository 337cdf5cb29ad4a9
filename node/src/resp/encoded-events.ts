/**
 * Event maps that were written before, for connections that are sent the same events: many subscribers of one stream, or of
 * one history. Shared by all connections of a listener. From the third time on an event costs a copy.
 *
 * Invariants
 * - A copy is the event map in RESP3, of the event with this partition and sequence; committed events never change.
 * - Copies stand in a ring; one is valid until the ring has come round to its beginning.
 * - A lone reader pays next to nothing: the first time an event is only noted, unless events have been asked for again
 *   lately.
 */
import { assert } from '../../../common/assert.ts';
import type { EventView } from '../engine/types.ts';
import { writeEvent } from './event-reply.ts';
import type { ReplyWriter } from './replies.ts';

const RING_BYTES = 1024 * 1024;
/** Larger maps are not kept: encoding them is a copy already. */
const KEPT_BYTES_MAX = 16 * 1024;
/** Direct-mapped; as many as maps of 256 bytes fit into the ring. */
const SLOTS = 4096;
/** So many events after the last repetition are kept at their first time. */
const EAGER_EVENTS = 64;

export class EncodedEvents {
  /** Taken with the first event that is kept. */
  #ring: Uint8Array | null = null;
  /** Bytes ever put into the ring, the gaps at its ends included: offset of the next copy, modulo its size. */
  #end = 0;
  readonly #sequences = new Float64Array(SLOTS).fill(-1);
  readonly #partitions = new Int32Array(SLOTS);
  /** Where each slot's copy begins, counted like {@link #end}. */
  readonly #starts = new Float64Array(SLOTS);
  readonly #copies = new Array<Uint8Array | null>(SLOTS).fill(null);
  #eager = 0;

  /** Writes the event map; `reply` must be in RESP3. */
  write(reply: ReplyWriter, event: EventView): void {
    const { partition, sequence } = event;
    const slot = (sequence + partition * 61) & (SLOTS - 1);
    const isKnown = this.#sequences[slot] === sequence && this.#partitions[slot] === partition;
    if (isKnown) {
      this.#eager = EAGER_EVENTS;
      const copy = this.#copies[slot] as Uint8Array | null;
      if (copy !== null && (this.#starts[slot] as number) + RING_BYTES >= this.#end) {
        reply.reserve(copy.length);
        reply.bytes.set(copy, reply.end);
        reply.end += copy.length;
        return;
      }
    } else {
      this.#sequences[slot] = sequence;
      this.#partitions[slot] = partition;
      this.#copies[slot] = null;
    }
    const before = reply.length;
    writeEvent(reply, event);
    if (this.#eager === 0) return;
    this.#eager -= 1;
    this.#keep(slot, reply, reply.length - before);
  }

  /** Keeps the last `length` bytes of the reply. */
  #keep(slot: number, reply: ReplyWriter, length: number): void {
    assert(reply.version === 3, 'pushes are RESP3');
    if (length > KEPT_BYTES_MAX) return;
    this.#ring ??= new Uint8Array(RING_BYTES);
    let at = this.#end % RING_BYTES;
    if (at + length > RING_BYTES) {
      this.#end += RING_BYTES - at;
      at = 0;
    }
    const copy = this.#ring.subarray(at, at + length);
    copy.set(reply.bytes.subarray(reply.end - length, reply.end));
    this.#starts[slot] = this.#end;
    this.#copies[slot] = copy;
    this.#end += length;
  }
}
