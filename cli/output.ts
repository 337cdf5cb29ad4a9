/**
 * Standard output: lines in order, in large pieces, at the reader's pace.
 *
 * Invariants. What is given in one turn of the event loop is written together, or earlier when it is much. `onWritten` is called
 * when the system has taken the line, never before, and for the last line of a piece only. When the reader has gone (`| head`)
 * everything is dropped and `gone` aborts; that is no error.
 */
import type { Writable } from 'node:stream';

const PIECE_CHARACTERS = 64 * 1024;

export class Output {
  readonly #stream: Writable;
  readonly #gone = new AbortController();
  #lines: string[] = [];
  #characters = 0;
  #onWritten: (() => void) | undefined;
  #isScheduled = false;
  /** Pieces that the system has not taken. */
  #writes = 0;
  readonly #onIdle: (() => void)[] = [];
  /** Other than a reader that has gone. */
  error: Error | null = null;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.error = error;
      this.#gone.abort();
    });
  }

  /** Aborts when nothing more can be written. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Takes one line, without its end. Null when more is welcome, otherwise what to wait for. */
  line(text: string, onWritten?: () => void): Promise<void> | null {
    if (this.gone.aborted) return null;
    this.#lines.push(text, '\n');
    this.#characters += text.length + 1;
    this.#onWritten = onWritten ?? this.#onWritten;
    if (this.#characters >= PIECE_CHARACTERS) this.#write();
    else this.#schedule();
    return this.#stream.writableNeedDrain ? this.#drained() : null;
  }

  /** Resolves when the system has everything, or the reader has gone. */
  async flush(): Promise<void> {
    this.#write();
    if (this.#writes === 0 || this.gone.aborted) return;
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve);
      this.gone.addEventListener('abort', () => resolve());
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#write();
    });
  }

  #write(): void {
    if (this.#lines.length === 0 || this.gone.aborted) return;
    const piece = this.#lines.join('');
    const onWritten = this.#onWritten;
    this.#lines = [];
    this.#characters = 0;
    this.#onWritten = undefined;
    this.#writes += 1;
    this.#stream.write(piece, (error) => {
      this.#writes -= 1;
      if (error === null || error === undefined) onWritten?.();
      if (this.#writes === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
    });
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#stream.once('drain', resolve);
      this.gone.addEventListener('abort', () => resolve());
    });
  }
}
