/** Reads replies as a library decodes them: maps or flat arrays, text or buffers. */
import assert from 'node:assert/strict';

export type Fields = Readonly<Record<string, unknown>>;

/** The fields of a map, which RESP2, and some libraries with RESP3, present as a flat array. */
export function fieldsOf(reply: unknown): Fields {
  if (reply instanceof Map) return Object.fromEntries(reply as Map<string, unknown>);
  assert(typeof reply === 'object' && reply !== null, `a map, not ${JSON.stringify(reply)}`);
  if (!Array.isArray(reply)) return { ...reply };
  const flat = reply as unknown[];
  return Object.fromEntries(
    Array.from({ length: flat.length / 2 }, (_, i) => [String(flat[2 * i]), flat[2 * i + 1]]),
  );
}

export function listOf(reply: unknown): readonly unknown[] {
  assert(Array.isArray(reply), `a list, not ${JSON.stringify(reply)}`);
  return reply as unknown[];
}

export function texts(replies: readonly unknown[], field: string): string[] {
  return replies.map((reply) => String(fieldsOf(reply)[field]));
}
