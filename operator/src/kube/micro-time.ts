/** RFC 3339 with exactly six digits of a second: the server takes nothing else for leases and events. `atMs` is since 1970. */
export function microTime(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '000Z');
}
