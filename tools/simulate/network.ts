/**
 * The network between members, by seed: messages are lost, repeated, delayed and overtaken; ways between two members are cut,
 * in one direction or both.
 */
import type { Random } from '../../common/random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What it does to messages that are not cut off. */
export interface Weather {
  /** Of a hundred messages, how many are lost, and how many arrive twice. */
  readonly lossPercent: number;
  readonly repeatPercent: number;
  /** Longest usual delay. One in fifty takes ten times as long. */
  readonly delayMs: number;
}

export const fine: Weather = { lossPercent: 0, repeatPercent: 0, delayMs: 1 };

export class SimulatedNetwork {
  weather: Weather = fine;
  sent = 0;
  lost = 0;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #cut = new Set<string>();

  constructor(time: VirtualTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  /** `arrive` is called once, or not, or twice. */
  send(from: number, to: number, arrive: () => void): void {
    const { lossPercent, repeatPercent } = this.weather;
    this.sent += 1;
    if (this.#cut.has(way(from, to)) || this.#random.below(100) < lossPercent) {
      this.lost += 1;
      return;
    }
    this.#post(from, to, arrive);
    if (this.#random.below(100) < repeatPercent) this.#post(from, to, arrive);
  }

  /** Nothing arrives from `from` at `to` any more, not even what is on its way. */
  cut(from: number, to: number): void {
    this.#cut.add(way(from, to));
  }

  heal(): void {
    this.#cut.clear();
  }

  isCut(from: number, to: number): boolean {
    return this.#cut.has(way(from, to));
  }

  /** One that is not repeated, as of a connection: it arrives once, or not. */
  request(from: number, to: number, arrive: () => void): void {
    if (this.isCut(from, to)) return;
    this.#post(from, to, arrive);
  }

  #post(from: number, to: number, arrive: () => void): void {
    const { delayMs } = this.weather;
    const longest = this.#random.below(50) === 0 ? 10 * delayMs : delayMs;
    const delay = 0.05 + (this.#random.below(1000) / 1000) * longest;
    this.#time.after(delay, null, () => {
      if (!this.#cut.has(way(from, to))) arrive();
    });
  }
}

const way = (from: number, to: number): string => `${String(from)}>${String(to)}`;
