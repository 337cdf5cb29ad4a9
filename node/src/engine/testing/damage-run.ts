/**
 * Damage to a disk on which everything was answered, by seed: bits that flip, zeroed and swapped pages, files cut short.
 *
 * What must hold: the store is refused with a sentence, or opens. What it then shows is right and whole, or the read is
 * refused with `READERR` or `CLUSTERDOWN`; buckets whose files are whole serve everything; damage to derived files is not
 * noticed by anybody. What is appended from then on is there after a restart.
 *
 * The one exception: when a journal round and every round behind it is damaged, the end of the journal looks as if it
 * had never been written. The events that only these rounds hold may then be missing, and no others.
 */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';

import { SierraError } from '../../../../common/errors.ts';
import { seededRandom } from '../../../../common/random.ts';
import { OpenError } from '../../storage/errors.ts';
import {
  frameEventCount,
  frameFirstSequence,
  frameKind,
  frameKindOf,
  framePartition,
} from '../../storage/frame-format.ts';
import {
  decodeFileHeader,
  decodeRound,
  entriesOf,
  entryType,
  PAGE_BYTES,
  paddedLength,
} from '../../storage/journal-format.ts';
import { scanJournal } from '../../storage/journal-scan.ts';
import { SimulatedFileSystem } from '../../storage/testing/simulated-file-system.ts';
import { openStore, type Store, type StoreFacts } from '../index.ts';
import { keyInBucket, RandomCommands } from './commands.ts';
import { tinyStore } from './crash-runner.ts';
import { StoreModel } from './model.ts';
import { ModelledStore } from './modelled-store.ts';
import { SteppingClock } from './stepping-clock.ts';
import { withoutTimers } from './without-timers.ts';

export interface Damage {
  readonly path: string;
  readonly description: string;
}

interface JournalRound {
  readonly path: string;
  readonly at: number;
  readonly length: number;
  readonly number: number;
  /** Events in it: partition and sequence of each. */
  readonly events: readonly string[];
}

const DERIVED = /\.(streams|partitions|events|index)$/;

export class DamageRun {
  readonly #seed: number;
  readonly #clock = new SteppingClock();
  readonly #model = new StoreModel(tinyStore);
  #disk: SimulatedFileSystem;
  #facts: StoreFacts | null = null;
  #rounds: JournalRound[] = [];

  private constructor(seed: number) {
    this.#seed = seed;
    this.#disk = new SimulatedFileSystem({ seed });
  }

  /** A disk with a few hundred events on it, closed or crashed. */
  static async prepare(seed: number): Promise<DamageRun> {
    const run = new DamageRun(seed);
    await withoutTimers(() => run.#fill());
    return run;
  }

  get disk(): SimulatedFileSystem {
    return this.#disk;
  }

  /** Damages a copy of the disk and checks what becomes of it. Returns what was done and how it ended. */
  async check(
    damageSeed: number,
    hurt: (disk: SimulatedFileSystem) => Damage | Promise<Damage> = (disk) =>
      damageAtRandom(disk, damageSeed),
  ): Promise<string> {
    const disk = this.#disk.clone({ seed: damageSeed });
    const damage = await hurt(disk);
    try {
      const outcome = await withoutTimers(() => this.#outcome(disk, damage));
      return `${damage.description}: ${outcome}`;
    } catch (error) {
      throw new Error(`${damage.description}: ${(error as Error).message}`, { cause: error });
    }
  }

  async #fill(): Promise<void> {
    const random = seededRandom(this.#seed);
    const commands = new RandomCommands(random, this.#model, { largePercent: 20 });
    for (let life = 0; life < 2; life += 1) {
      const store = await this.#open(this.#disk);
      this.#facts = store.facts;
      const modelled = new ModelledStore(store, this.#model, () => this.#clock.now());
      for (let i = 20 + random.below(60); i > 0; i -= 1) {
        this.#clock.step(1);
        void modelled.send(commands.append());
        if (commands.chance(40)) await modelled.settled();
      }
      await modelled.settled();
      await modelled.compareWhole();
      if (random.below(2) === 0) await store.close();
      else this.#disk.crash();
      this.#disk =
        random.below(2) === 0 ? this.#disk.afterProcessCrash() : this.#disk.afterPowerCut();
    }
    this.#rounds = await journalRounds(this.#disk);
  }

  #open(disk: SimulatedFileSystem): Promise<Store> {
    return openStore('/data', tinyStore, {
      files: disk,
      clock: this.#clock,
      random: seededRandom(disk.seed),
      onFatal: (error) => {
        throw error;
      },
    });
  }

  async #outcome(disk: SimulatedFileSystem, damage: Damage): Promise<string> {
    const losable = this.#losable(disk);
    let store: Store;
    try {
      store = await this.#open(disk);
    } catch (error) {
      assert(error instanceof OpenError, `refused with ${String(error)}`);
      assert(!DERIVED.test(damage.path), `refused for a derived file: ${error.message}`);
      return `refused: ${error.message}`;
    }
    assert.deepEqual(store.facts, this.#facts, 'the store knows who it is');
    const model = this.#model.copy();
    const lost = await forgetLost(store, model, losable);
    const looked = await this.#look(store, model, damage);
    await store.close();
    const again = await this.#open(disk.afterPowerCut({ unsynced: 'lost' }));
    await this.#look(again, model, damage);
    await again.close();
    const quarantined = again.statistics().quarantined.join(' ');
    return `${lost} lost of ${losable.size} losable, ${looked} reads refused, quarantined: ${quarantined || '-'}`;
  }

  /** Events that stand in journal rounds which are damaged, with every round behind them, and in no others. */
  #losable(disk: SimulatedFileSystem): Set<string> {
    const isWhole = ({ path, at, length }: JournalRound): boolean =>
      disk.paths().includes(path) &&
      disk
        .bytes(path)
        .subarray(at, at + length)
        .equals(this.#disk.bytes(path).subarray(at, at + length));
    const lastWhole = this.#rounds.findLastIndex(isWhole);
    return new Set(this.#rounds.slice(lastWhole + 1).flatMap(({ events }) => events));
  }

  /** Reads everything and appends to every bucket; returns how many reads were refused. */
  async #look(store: Store, model: StoreModel, damage: Damage): Promise<number> {
    const modelled = new ModelledStore(store, model, () => this.#clock.now());
    const hurt = /buckets\/(\d+)\/.*\.log$/.exec(damage.path);
    const hurtBucket = hurt === null ? null : Number(hurt[1]);
    let refused = 0;
    const tolerant = async (bucket: number | null, read: () => Promise<void>): Promise<void> => {
      try {
        await read();
      } catch (error) {
        const isRefusal =
          error instanceof SierraError && ['READERR', 'CLUSTERDOWN'].includes(error.code);
        if (!isRefusal || hurtBucket === null) throw error;
        assert(
          bucket === null || bucket === hurtBucket,
          `a whole bucket refuses: ${error.message}`,
        );
        refused += 1;
      }
    };
    for (let partition = 0; partition < tinyStore.partitionCount; partition += 1) {
      const bucket = partition % tinyStore.bucketCount;
      await tolerant(bucket, () => modelled.readSequence(partition));
      await tolerant(bucket, () => modelled.readPartition(partition, 0, Infinity, Infinity));
      for (const { transaction, ordinal } of model.partition(partition)) {
        const at = transaction.firstSequence + ordinal;
        await tolerant(bucket, () => modelled.readPartition(partition, at, at, 5));
      }
    }
    for (let bucket = 0; bucket < tinyStore.bucketCount; bucket += 1) {
      for (const [name, events] of model.streams(bucket)) {
        const id = Buffer.from(name, 'latin1');
        const key = Buffer.from(events[0]!.transaction.partitionKey, 'hex');
        await tolerant(bucket, () => modelled.readVersion(id, key));
        await tolerant(bucket, () => modelled.readStream(id, key, 0, Infinity, Infinity));
        for (const { version, eventId } of events) {
          await tolerant(bucket, () => modelled.readStream(id, key, version, version, 5));
          await tolerant(null, () => modelled.readEvent(Buffer.from(eventId!, 'hex'), true));
        }
      }
      await this.#appendTo(modelled, bucket, bucket === hurtBucket);
    }
    return refused;
  }

  async #appendTo(modelled: ModelledStore, bucket: number, mayRefuse: boolean): Promise<void> {
    const random = seededRandom(this.#clock.now());
    this.#clock.step(1);
    const request = {
      partitionKey: keyInBucket(random, tinyStore, bucket),
      events: [
        {
          streamId: Buffer.from(`after-${bucket}-${random.below(2 ** 32)}`),
          eventName: Buffer.from('After'),
          eventId: null,
          expectedVersion: 'empty' as const,
          timestamp: null,
          metadata: Buffer.alloc(0),
          payload: Buffer.from('behind the damage'),
        },
      ],
    };
    await modelled.sendAlone(request, mayRefuse ? ['CLUSTERDOWN'] : []);
  }
}

/** Takes out of the model what is missing from the store, as long as it may be. Returns how many transactions. */
async function forgetLost(
  store: Store,
  model: StoreModel,
  losable: ReadonlySet<string>,
): Promise<number> {
  if (losable.size === 0) return 0;
  let lost = 0;
  for (let bucket = 0; bucket < model.options.bucketCount; bucket += 1) {
    const log = model.log(bucket);
    let kept = log.length;
    for (const { partition, firstSequence } of log.toReversed()) {
      const last = store.partitionSequence(partition) ?? -1;
      if (last >= firstSequence) break;
      const isLosable = losable.has(`${partition}:${firstSequence}`);
      assert(isLosable, `sequence ${firstSequence} of partition ${partition} is missing`);
      kept -= 1;
    }
    lost += log.length - kept;
    model.keep(bucket, kept);
  }
  return lost;
}

async function journalRounds(disk: SimulatedFileSystem): Promise<JournalRound[]> {
  const scan = await scanJournal(disk.clone(), '/data/journal');
  assert.equal(scan.refusal, null);
  const rounds: JournalRound[] = [];
  for (const { slot, end } of scan.laps) {
    const path = `/data/journal/${String(slot).padStart(4, '0')}.journal`;
    const content = disk.bytes(path);
    const { salt } = decodeFileHeader(content)!;
    for (let at = PAGE_BYTES; at < end;) {
      const round = decodeRound(content, at, salt)!;
      const events: string[] = [];
      for (const { type, from } of entriesOf(content, at, round)) {
        if (type !== entryType.frame || frameKindOf(content, from) !== frameKind.events) continue;
        for (let i = 0; i < frameEventCount(content, from); i += 1) {
          events.push(`${framePartition(content, from)}:${frameFirstSequence(content, from) + i}`);
        }
      }
      rounds.push({ path, at, length: round.length, number: round.number, events });
      at += paddedLength(round.length);
    }
  }
  return rounds;
}

/** Flips, zeroes, swaps, cuts or removes something of any file. */
export function damageAtRandom(disk: SimulatedFileSystem, seed: number): Damage {
  const random = seededRandom(seed ^ 0x6a09e667);
  const paths = disk.paths().filter((path) => disk.bytes(path).length > 0);
  const path = paths[random.below(paths.length)]!;
  const bytes = disk.bytes(path);
  const at = random.below(bytes.length);
  const pages = Math.floor(bytes.length / PAGE_BYTES);
  switch (random.below(path.includes('journal') ? 5 : 6)) {
    case 0:
      disk.truncateRaw(path, at);
      return { path, description: `${path} cut at ${at} of ${bytes.length}` };
    case 1: {
      const length = Math.min(1 + random.below(5000), bytes.length - at);
      disk.overwrite(path, at, Buffer.alloc(length));
      return { path, description: `${path} zeroed from ${at} to ${at + length}` };
    }
    case 2: {
      if (pages < 2) break;
      const [a, b] = [random.below(pages) * PAGE_BYTES, random.below(pages) * PAGE_BYTES];
      disk.overwrite(path, a, bytes.subarray(b, b + PAGE_BYTES));
      disk.overwrite(path, b, bytes.subarray(a, a + PAGE_BYTES));
      return { path, description: `${path} pages at ${a} and ${b} swapped` };
    }
    case 5:
      disk.truncateRaw(path, 0);
      return { path, description: `${path} emptied` };
    default:
  }
  const flips = 1 + random.below(3);
  for (let i = 0; i < flips; i += 1)
    disk.flip(path, Math.min(at + i * 7, bytes.length - 1), random.below(8));
  return { path, description: `${path} ${flips} bits flipped at ${at}` };
}

/** Removes a file for good. */
export async function removeDurably(disk: SimulatedFileSystem, path: string): Promise<void> {
  await disk.remove(path);
  await disk.syncDirectory(dirname(path));
}
