/**
 * Events as JSON lines, for programs. What `read --json` prints, `append --from-stdin` takes.
 *
 * Payload and metadata are text: exactly what was appended, JSON or not. Bytes that are no UTF-8 stand under `payloadBase64` or
 * `metadataBase64` instead.
 */
import { isUtf8 } from 'node:buffer';

import type { StoredEvent } from '../client/index.ts';

/** `isParsed`: payload and metadata that are JSON become part of the line, for `jq .payload.total`. */
export function eventJson(
  event: StoredEvent,
  { isParsed }: { readonly isParsed: boolean },
): string {
  const { id, streamId, name, version, partition, partitionKey, sequence, transactionId } = event;
  return JSON.stringify({
    ...{ id, stream: streamId, version, name, timestamp: event.timestamp },
    ...bytesField('payload', event.payload, isParsed),
    ...bytesField('metadata', event.metadata, isParsed),
    ...{ partition, sequence, partitionKey, transactionId },
  });
}

function bytesField(
  name: 'payload' | 'metadata',
  bytes: Buffer,
  isParsed: boolean,
): Readonly<Record<string, unknown>> {
  if (!isUtf8(bytes)) return { [`${name}Base64`]: bytes.toString('base64') };
  const text = bytes.toString('utf8');
  return { [name]: isParsed ? parsed(text) : text };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
