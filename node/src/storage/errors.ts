/** Faults of a disk's contents. Errors of the disk itself stay Node's system errors. */

/** The log is damaged: its bytes are not what was written. Never repaired silently; the bucket is quarantined. */
export class DamageError extends Error {
  override readonly name = 'DamageError';
  readonly segment: number;
  /** First byte, counted from the segment file's start, that can not be trusted. */
  readonly offset: number;
  readonly reason: string;

  constructor(segment: number, offset: number, reason: string) {
    super(`segment ${String(segment)} is damaged at byte ${String(offset)}: ${reason}`);
    this.segment = segment;
    this.offset = offset;
    this.reason = reason;
  }
}

/** A derived file is damaged. No event is lost: the file is built again from its segment. */
export class IndexDamageError extends Error {
  override readonly name = 'IndexDamageError';
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`index file ${path} is damaged: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

/** A file ended before bytes that it should hold. */
export class ShortReadError extends Error {
  override readonly name = 'ShortReadError';
  readonly path: string;
  readonly position: number;

  constructor(path: string, position: number) {
    super(`${path} ends at byte ${String(position)}, before bytes that it should hold`);
    this.path = path;
    this.position = position;
  }
}

export type OpenRefusal = 'locked' | 'version' | 'mismatch' | 'damaged';

/** A data directory cannot be opened as asked; the message is one sentence for the person who asked. */
export class OpenError extends Error {
  override readonly name = 'OpenError';
  readonly reason: OpenRefusal;

  constructor(reason: OpenRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
