/**
 * Events for people: what `kubectl describe` shows below an object. They are told once and then not for ten minutes, and nothing
 * waits for them or fails with them.
 */
import { randomBytes } from 'node:crypto';
import type { KubeLog } from './log.ts';
import { microTime } from './micro-time.ts';
import { events } from './resources.ts';
import type { KubeApi, KubeObject } from './types.ts';

const REPEAT_MS = 600_000;
const NOTE_BYTES_MAX = 1024;
const WORD_LENGTH_MAX = 128;
const NAME_LENGTH_MAX = 253;
/** Events that are remembered, and those that are on their way: a server that is away is not to cost memory. */
const KNOWN_MAX = 4096;
const PENDING_MAX = 64;

export interface EventRecorderOptions {
  /** `reportingController`: `sierradb.io/operator`. */
  readonly controller: string;
  /** `reportingInstance`: of this process. */
  readonly identity: string;
  readonly log: Pick<KubeLog, 'warn'>;
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number;
}

export interface RecordedEvent {
  readonly type: 'Normal' | 'Warning';
  /** One word, for programs: `ScaledUp`. */
  readonly reason: string;
  /** A sentence; cut after 1 KiB. */
  readonly message: string;
  /** What the controller did or tried to do; absent: the reason. */
  readonly action?: string;
}

export class EventRecorder {
  readonly #api: Pick<KubeApi, 'create'>;
  readonly #options: EventRecorderOptions;
  readonly #wallClock: () => number;
  /** Event → when it was written. The oldest come first. */
  readonly #writtenAt = new Map<string, number>();
  readonly #pending = new Set<Promise<void>>();

  constructor(api: Pick<KubeApi, 'create'>, options: EventRecorderOptions) {
    this.#api = api;
    this.#options = options;
    this.#wallClock = options.wallClock ?? Date.now;
  }

  emit(regarding: KubeObject, event: RecordedEvent): void {
    const key = JSON.stringify([regarding.metadata.uid, event.type, event.reason, event.message]);
    const now = this.#wallClock();
    const writtenAt = this.#writtenAt.get(key);
    if (writtenAt !== undefined && Math.abs(now - writtenAt) < REPEAT_MS) return;
    if (this.#pending.size >= PENDING_MAX) return;
    this.#remember(key, now);
    const written = this.#write(key, this.#eventOf(regarding, event, now));
    this.#pending.add(written);
    void written.then(() => this.#pending.delete(written));
  }

  /** Resolves when what was emitted so far is written, or was given up. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  async #write(key: string, event: KubeObject): Promise<void> {
    try {
      await this.#api.create(events, event);
    } catch (error) {
      this.#writtenAt.delete(key);
      this.#options.log.warn({ err: error, event }, 'an event was not written');
    }
  }

  #remember(key: string, now: number): void {
    this.#writtenAt.delete(key);
    this.#writtenAt.set(key, now);
    const [oldest] = this.#writtenAt.keys();
    if (this.#writtenAt.size > KNOWN_MAX && oldest !== undefined) this.#writtenAt.delete(oldest);
  }

  #eventOf(regarding: KubeObject, event: RecordedEvent, now: number): KubeObject {
    const { apiVersion, kind, metadata } = regarding;
    const { name, namespace = 'default', uid, resourceVersion } = metadata;
    const suffix = `.${randomBytes(8).toString('hex')}`;
    return {
      ...{ apiVersion: 'events.k8s.io/v1', kind: 'Event' },
      metadata: { namespace, name: name.slice(0, NAME_LENGTH_MAX - suffix.length) + suffix },
      ...{ eventTime: microTime(now), type: event.type, note: cut(event.message) },
      reason: event.reason.slice(0, WORD_LENGTH_MAX),
      action: (event.action ?? event.reason).slice(0, WORD_LENGTH_MAX),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.identity.slice(0, WORD_LENGTH_MAX),
      regarding: { apiVersion, kind, name, namespace, uid, resourceVersion },
    } as KubeObject;
  }
}

/** At most 1 KiB of UTF-8, and no half of a character. */
function cut(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= NOTE_BYTES_MAX) return note;
  let end = NOTE_BYTES_MAX - 3;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString('utf8', 0, end)}…`;
}
