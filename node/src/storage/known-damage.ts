import type { DamagedRange } from './damage-scan.ts';
import type { DamageError } from './errors.ts';

/**
 * What a bucket's log knows of damage in its segments: where it is, and what it hides. A damaged bucket is quarantined; what
 * is not hidden is served.
 */
export class KnownDamage {
  readonly damage: DamagedRange[] = [];
  /** Called when a reader, the scrub or sealing has met damage. */
  onDamaged: () => void = () => undefined;
  #hiddenUntil: { readonly segment: number; readonly offset: number } | null = null;
  /** Slots of partitions whose latest events may be among what is hidden. */
  readonly #unsure = new Set<number>();

  get quarantined(): boolean {
    return this.damage.length > 0;
  }

  /** Whether damage hides frames that no index knows. */
  get hidesFrames(): boolean {
    return this.#hiddenUntil !== null;
  }

  /**
   * Takes note of damage that recovery met. What stood there is in no index; `unsure` are the slots of partitions whose
   * latest events may be among it.
   */
  quarantine(damage: readonly DamagedRange[], unsure: ReadonlySet<number>): void {
    this.damage.push(...damage);
    const last = [...damage].sort((a, b) => a.segment - b.segment || a.to - b.to).at(-1);
    if (last !== undefined) this.#hiddenUntil = { segment: last.segment, offset: last.to };
    for (const slot of unsure) this.#unsure.add(slot);
  }

  /** Whether `segment`:`offset` lies behind everything that damage hides: later frames are all known. */
  isBehindDamage(segment: number, offset: number): boolean {
    const until = this.#hiddenUntil;
    if (until === null || segment > until.segment) return true;
    return segment === until.segment && offset >= until.offset;
  }

  /** Takes note of damage that a reader met. */
  noteDamage({ segment, offset, reason }: DamageError): void {
    if (this.damage.some((range) => range.segment === segment && range.from === offset)) return;
    this.damage.push({ segment, from: offset, to: offset + 1, reason });
    this.onDamaged();
  }

  /** Whether the latest event of every partition is known. */
  get isEverySlotSure(): boolean {
    return this.#unsure.size === 0;
  }

  /** A whole segment stands in the place of the damaged one. What was hidden stays so until {@link noLongerDamaged}. */
  segmentHealed(segment: number): void {
    const left = this.damage.filter((range) => range.segment !== segment);
    this.damage.splice(0, this.damage.length, ...left);
  }

  /** Nothing is damaged, and nothing hidden: the indexes know every frame, the log its sequences. */
  noLongerDamaged(): void {
    this.#hiddenUntil = null;
    this.#unsure.clear();
  }

  protected isSlotSure(slot: number): boolean {
    return !this.#unsure.has(slot);
  }

  /** An event of the partition was found behind everything that is hidden. */
  protected slotIsSure(slot: number): void {
    this.#unsure.delete(slot);
  }
}
