import { isAlone } from './configuration-format.ts';

/** A configuration, as in `configuration-format.ts`, and where it stands in the log. */
export interface PlacedConfiguration {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** Whether a frame was seen that says so; false: a checkpoint said so, or the plan of a new replica. */
  readonly isFrame: boolean;
}

/** The terms and configurations of a log, by the index where each begins; back to where this start has read from. */
export class LogHistory {
  /** Whether the replica decides alone by the configuration in force. Asked for with every append, so it is kept. */
  isAlone: boolean;
  readonly #replicaId: Uint8Array;
  /** In the order of the log; there is always one. */
  readonly #configurations: PlacedConfiguration[];
  readonly #terms: { readonly index: number; readonly term: number }[];

  constructor(
    end: { readonly index: number; readonly term: number },
    configuration: Uint8Array,
    replicaId: Uint8Array,
  ) {
    this.#replicaId = replicaId;
    this.isAlone = isAlone(configuration, replicaId);
    this.#configurations = [{ index: end.index, bytes: configuration, isFrame: false }];
    this.#terms = [{ index: end.index, term: end.term }];
  }

  get configurations(): readonly PlacedConfiguration[] {
    return this.#configurations;
  }

  /** The one in force: the last in the log. */
  get configuration(): Uint8Array {
    return (this.#configurations.at(-1) as PlacedConfiguration).bytes;
  }

  termBegins(index: number, term: number): void {
    this.#terms.push({ index, term });
  }

  configured(index: number, bytes: Uint8Array): void {
    this.#configurations.push({ index, bytes: Buffer.from(bytes), isFrame: true });
    this.isAlone = isAlone(this.configuration, this.#replicaId);
  }

  /** The log ends with `index` now. */
  truncate(index: number): void {
    while ((this.#configurations.at(-1)?.index ?? 0) > index) this.#configurations.pop();
    while ((this.#terms.at(-1)?.index ?? 0) > index) this.#terms.pop();
    this.isAlone = isAlone(this.configuration, this.#replicaId);
  }

  /** Term of the frame at `index`; null where that is not known. */
  termAt(index: number): number | null {
    for (let i = this.#terms.length - 1; i >= 0; i -= 1) {
      const known = this.#terms[i];
      if (known !== undefined && known.index <= index) return known.term;
    }
    return null;
  }

  /** In force as of frame `index`. */
  configurationAt(index: number): Uint8Array {
    let [found] = this.#configurations as [PlacedConfiguration];
    for (const placed of this.#configurations) if (placed.index <= index) found = placed;
    return found.bytes;
  }

  /** Nobody will ask for configurations that were replaced at or before `index`. */
  forget(index: number): void {
    while ((this.#configurations[1]?.index ?? Infinity) <= index) this.#configurations.shift();
  }
}
