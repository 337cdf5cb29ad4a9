/** Events as lines for people: time, place, name, payload. */
import { styleText } from 'node:util';

import type { StoredEvent } from '../client/index.ts';
import { printableBytes, printableText } from './printable.ts';

export interface TextOptions {
  readonly hasColours: boolean;
  /** Whether to say where in which partition an event is. */
  readonly showsPartition: boolean;
  /** Most characters of a payload; the rest is told by its size. */
  readonly charactersMax: number;
}

type Format = Parameters<typeof styleText>[0];

/** Columns are as wide as the widest that was seen, but no wider than this. */
const WIDTH_MAX = 40;

/** Lines of one output; their columns keep in step. */
export class EventRows {
  readonly #options: TextOptions;
  readonly #widths: [number, number, number] = [0, 0, 0];

  constructor(options: TextOptions) {
    this.#options = options;
  }

  row(event: StoredEvent): string {
    const { showsPartition, charactersMax } = this.#options;
    const columns = [this.#paint('dim', timeText(event.timestamp))];
    if (showsPartition) {
      columns.push(this.#paint('dim', this.#wide(0, `${event.partition}:${event.sequence}`)));
    }
    const stream = this.#wide(1, `${printableText(event.streamId)}@${event.version}`);
    columns.push(this.#paint('cyan', stream));
    columns.push(this.#paint('bold', this.#wide(2, printableText(event.name))));
    if (event.payload.length > 0) columns.push(printableBytes(event.payload, charactersMax));
    if (event.metadata.length > 0) {
      columns.push(this.#paint('dim', `+ ${printableBytes(event.metadata, charactersMax)}`));
    }
    return columns.join('  ').trimEnd();
  }

  /** All that there is of one event, a line each. */
  record(event: StoredEvent): string {
    const fields: readonly (readonly [string, string])[] = [
      ['event', event.id],
      ['stream', printableText(event.streamId)],
      ['version', String(event.version)],
      ['name', printableText(event.name)],
      ['time', timeText(event.timestamp)],
      ['partition', `${event.partition}, sequence ${event.sequence}`],
      ['partition key', event.partitionKey],
      ['transaction', event.transactionId],
      ['payload', printableBytes(event.payload)],
      ['metadata', printableBytes(event.metadata)],
    ];
    return fields
      .map(([name, value]) => `${this.#paint('dim', name.padEnd(13))}  ${value}`.trimEnd())
      .join('\n');
  }

  #paint(format: Format, text: string): string {
    return this.#options.hasColours ? styleText(format, text, { validateStream: false }) : text;
  }

  #wide(column: 0 | 1 | 2, text: string): string {
    const width = Math.min(WIDTH_MAX, Math.max(this.#widths[column], text.length));
    this.#widths[column] = width;
    return text.padEnd(width);
  }
}

/** A client may have given a time that no calendar has. */
function timeText(timestamp: number): string {
  const date = new Date(timestamp);
  return Number.isNaN(date.getTime()) ? String(timestamp) : date.toISOString();
}
