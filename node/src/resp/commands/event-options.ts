/** The options of one event in EAPPEND and EMAPPEND: any order, each at most once. */
import type { EventDraft, ExpectedVersion } from '../../engine/types.ts';
import { type ArgumentReader, keyword } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';

const EVENT_ID = keyword('EVENT_ID');
const EXPECTED_VERSION = keyword('EXPECTED_VERSION');
const TIMESTAMP = keyword('TIMESTAMP');
const PAYLOAD = keyword('PAYLOAD');
const METADATA = keyword('METADATA');

const NOTHING = Buffer.alloc(0);

/** An event while its options are read. A field that still has its default may be set again (wire protocol 2.4). */
export class EventOptions implements EventDraft {
  readonly streamId: Buffer;
  readonly eventName: Buffer;
  eventId: Buffer | null = null;
  expectedVersion: ExpectedVersion = 'any';
  timestamp: number | bigint | null = null;
  payload: Buffer = NOTHING;
  metadata: Buffer = NOTHING;

  constructor(reader: ArgumentReader) {
    this.streamId = reader.text('stream id');
    this.eventName = reader.text('event name');
  }

  /** Takes one option with its value, if one of the five stands next. */
  takeOption(reader: ArgumentReader): boolean {
    if (reader.takes(PAYLOAD)) this.#setPayload(reader);
    else if (reader.takes(EXPECTED_VERSION)) this.#setExpectedVersion(reader);
    else if (reader.takes(EVENT_ID)) this.#setEventId(reader);
    else if (reader.takes(METADATA)) this.#setMetadata(reader);
    else if (reader.takes(TIMESTAMP)) this.#setTimestamp(reader);
    else return false;
    return true;
  }

  #setPayload(reader: ArgumentReader): void {
    const value = reader.bytes('payload');
    if (this.payload.length > 0) throw argumentErrors.repeated('payload');
    this.payload = value;
  }

  #setMetadata(reader: ArgumentReader): void {
    const value = reader.bytes('metadata');
    if (this.metadata.length > 0) throw argumentErrors.repeated('metadata');
    this.metadata = value;
  }

  #setExpectedVersion(reader: ArgumentReader): void {
    const value = reader.expectedVersion();
    if (this.expectedVersion !== 'any') throw argumentErrors.repeated('expected version');
    this.expectedVersion = value;
  }

  #setEventId(reader: ArgumentReader): void {
    const value = reader.uuid('event id');
    if (this.eventId !== null) throw argumentErrors.repeated('event id');
    this.eventId = value;
  }

  #setTimestamp(reader: ArgumentReader): void {
    const value = reader.unsigned();
    if (this.timestamp !== null) throw argumentErrors.repeated('timestamp');
    this.timestamp = value;
  }
}
