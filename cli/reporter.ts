/** Standard error: notes, and what failed, as text or with `--json` as JSON lines. */
import type { Writable } from 'node:stream';

import { type Failure, failureOf } from './failure.ts';
import { printableText } from './printable.ts';

export class Reporter {
  isJson = false;
  isQuiet = false;
  /** Where to, for hints; without a password. */
  address = '';
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  note(sentence: string): void {
    if (!this.isQuiet) this.#write(`${printableText(sentence)}\n`);
  }

  /** Returns the exit code. Throws what is a mistake of ours. */
  failure(error: unknown, where: string): number {
    const failure = failureOf(error, this.address);
    if (failure === null) throw error;
    this.#write(this.isJson ? failureJson(failure, where) : failureText(failure, where));
    return failure.exitCode;
  }

  #write(text: string): void {
    this.#stream.write(text);
  }
}

function failureText({ code, message, hint }: Failure, where: string): string {
  const sentence = `${where}: ${code === 'USAGE' ? '' : `${code} `}${printableText(message)}\n`;
  return hint === null ? sentence : `${sentence}${hint}\n`;
}

const failureJson = ({ code, message, hint, eventIds }: Failure, where: string): string =>
  `${JSON.stringify({ error: { where, code, message, hint: hint ?? undefined, eventIds } })}\n`;
