/** Event pushes as our node sends them. */

export interface PushWords {
  readonly cursor: number | string;
  readonly streamId: string;
  readonly payload: string;
}

export const SUBSCRIPTION_ID = '9b2f7d0e-51c3-4a86-9f0d-2e4b6a8c0d1f';
const EVENT_ID = '018bcfe5-6800-1237-bb95-4123456789ab';

const blob = (text: string): string => `$${String(Buffer.byteLength(text))}\r\n${text}\r\n`;

/** An event that is the only one of its partition's stream: sequence and version equal the cursor. */
export function pushBytes({ cursor, streamId, payload }: PushWords): Buffer {
  const number = String(cursor);
  return Buffer.from(
    `>4\r\n+message\r\n+${SUBSCRIPTION_ID}\r\n:${number}\r\n` +
      `%11\r\n+event_id\r\n+${EVENT_ID}\r\n+partition_key\r\n+${EVENT_ID}\r\n` +
      `+partition_id\r\n:21\r\n+transaction_id\r\n+${EVENT_ID}\r\n+partition_sequence\r\n:${number}\r\n` +
      `+stream_version\r\n:${number}\r\n+timestamp\r\n:1700000000000\r\n` +
      `+stream_id\r\n${blob(streamId)}+event_name\r\n${blob('AccountCreditedEvent')}` +
      `+metadata\r\n${blob('')}+payload\r\n${blob(payload)}`,
  );
}
