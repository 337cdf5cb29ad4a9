/** What goes wrong, by seed: crashes, power cuts, frozen processes, slow, hanging, failing and full disks, cut networks, clocks that jump. */
import { setTimeout as delay } from 'node:timers/promises';

import { type Random, seededRandom } from '../../common/random.ts';
import {
  decodeFileHeader,
  decodeRound,
  PAGE_BYTES,
} from '../../node/src/storage/journal-format.ts';
import { silentObserver } from '../../node/src/storage/observer.ts';
import { segmentFileName, segmentsFolder } from '../../node/src/storage/names.ts';
import { Scrub } from '../../node/src/storage/scrub.ts';
import type { SimulatedCluster } from './cluster.ts';
import type { Operator } from './operator.ts';
import { type Crash, DIRECTORY, type DiskImage, type SimulatedMember } from './member.ts';
import { fine } from './network.ts';

/** Name of a method that makes one. */
type Fault = {
  [Name in keyof Faults]: Faults[Name] extends () => void ? Name : never;
}[keyof Faults];

export class Faults {
  readonly counts: Record<string, number> = {};
  readonly #cluster: SimulatedCluster;
  readonly #operator: Operator;
  /** What is to become of disks when their processes have ended, in place of a crash. */
  readonly #fates = new Map<SimulatedMember, (member: SimulatedMember) => void>();
  readonly #random: Random;
  /** How often something goes wrong: ms between two faults, at most. */
  readonly #pauseMs: number;
  /** Disk operations that hang or fail. */
  readonly #diskFaults: { end: () => void }[] = [];
  #isOver = false;
  /** Disks as they were before starts, of runs in which some are put back. */
  readonly #images = new Map<SimulatedMember, DiskImage[]>();
  readonly #keepsImages: boolean;

  constructor(cluster: SimulatedCluster, operator: Operator) {
    this.#cluster = cluster;
    this.#operator = operator;
    this.#keepsImages = cluster.seed % 4 > 1 && cluster.seed % 3 === 0;
    this.#random = seededRandom(cluster.seed ^ 0x6c078965);
    this.#pauseMs = this.#pick(150, 400, 400, 1000);
    // A node that ends is started again.
    cluster.onDown = (member): void => {
      this.#restart(member);
    };
  }

  async runFor(ms: number): Promise<void> {
    const { time } = this.#cluster;
    const end = time.now + ms;
    while (time.now < end) {
      await time.sleep(10 + this.#random.below(this.#pauseMs));
      const [name, fault] = this.#draw();
      this.counts[name] = (this.counts[name] ?? 0) + 1;
      this[fault]();
    }
    this.#heal();
  }

  #draw(): readonly [string, Fault] {
    // In every other run no disk fails: what ends processes early hides what only shows later. And in half of the runs
    // the members and their disks stay.
    const { seed } = this.#cluster;
    const kinds = faults.filter(
      (kind) => (seed % 2 === 0 || isOfGoodDisks(kind)) && (seed % 4 > 1 || isOfSameMembers(kind)),
    );
    let draw = this.#random.below(kinds.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [name, weight, fault] of kinds) {
      draw -= weight;
      if (draw < 0) return [name, fault];
    }
    throw new RangeError('a draw beyond all weights');
  }

  /** Everything is well from now on. */
  #heal(): void {
    this.#isOver = true;
    this.#cluster.trace('faults are over');
    this.#cluster.network.heal();
    this.#cluster.network.weather = fine;
    for (const fault of this.#diskFaults) fault.end();
    for (const member of this.#cluster.members) {
      member.diskDelayMs = 0;
      member.limitDisk();
      member.crashAfter(Infinity);
      if (member.life !== null) member.life.frozenUntil = 0;
    }
  }

  #restart(member: SimulatedMember): void {
    const { time } = this.#cluster;
    const crash = this.#nextCrash ?? this.#drawCrash();
    const delayMs = this.#isOver ? 10 : 5 + this.#random.below(this.#pick(50, 500, 2000));
    time.after(delayMs, null, () => {
      if (member.isRetired) return;
      const fate = this.#fates.get(member);
      this.#fates.delete(member);
      if (fate !== undefined) fate(member);
      else if (member.isRefused) this.#replaceDisk(member);
      else member.afterCrash(crash);
      const image = this.#keepsImages ? member.image() : null;
      if (image !== null) {
        this.#images.set(member, [...(this.#images.get(member) ?? []).slice(-3), image]);
      }
      const dies = !this.#isOver && this.#random.below(6) === 0;
      member.start(dies ? 1 + this.#random.below(80) : null);
    });
  }

  /** A disk that was refused is lost, as a person would see who looks at why the node does not start. */
  #replaceDisk(member: SimulatedMember): void {
    this.#operator.lose(member);
    member.wipe();
  }

  #nextCrash: Crash | null = null;

  #drawCrash(): Crash {
    return this.#pick<Crash>(
      'process',
      { unsynced: 'drawn' },
      { unsynced: 'drawn' },
      { unsynced: 'lost' },
      { unsynced: 'kept' },
    );
  }

  // Members

  wipe(): void {
    const member = this.#someone();
    if (member === undefined || member.memberId === null || !this.#operator.mayLose) return;
    this.#operator.lose(member);
    this.#fates.set(member, () => {
      member.wipe();
    });
    member.crash();
  }

  /** Everybody has heard of the present start of a node, which is counted; then its disk is put back to an earlier one. */
  rollBack(): void {
    const member = this.#someone();
    if (member?.isUp !== true || !this.#operator.mayLose || !this.#isKnown(member)) return;
    const images = (this.#images.get(member) ?? []).filter(
      ({ memberId, lives }) => memberId === member.memberId && lives < member.lives,
    );
    const image = images[this.#random.below(Math.max(1, images.length))];
    if (image === undefined) return;
    this.#operator.lose(member);
    this.#fates.set(member, () => {
      member.putBack(image);
    });
    member.crash();
  }

  #isKnown({ number, memberId, node }: SimulatedMember): boolean {
    const boot = node?.status().boot;
    const others = this.#cluster.staying.filter((other) => other.number !== number);
    return others.every(({ disk, node: other }) => {
      if ((other?.currentAssignment() ?? null) === null) return false;
      try {
        const { starts } = JSON.parse(disk.bytes(`${DIRECTORY}/starts.json`).toString()) as {
          readonly starts: Readonly<Record<string, { readonly boot: number }>>;
        };
        return starts[memberId ?? '']?.boot === boot;
      } catch {
        return false;
      }
    });
  }

  /** A bit of a sealed segment changes on its disk; a scrub finds it. */
  flipSegment(): void {
    const member = this.#someone();
    if (member === undefined || member.store === null || !this.#operator.mayLose) return;
    const groups = [...member.store.groups()].filter(({ log }) => log.sealed.segments.length > 0);
    const log = groups[this.#random.below(Math.max(1, groups.length))]?.log;
    const sealed = log?.sealed.segments[this.#random.below(log.sealed.segments.length)];
    if (log === undefined || sealed === undefined) return;
    const path = `${segmentsFolder(DIRECTORY, log.bucket)}/${segmentFileName(sealed.number)}`;
    const before = member.disk.bytes(path);
    const offset = this.#random.below(Math.min(before.length, sealed.file.length));
    member.disk.flip(path, offset, this.#random.below(8));
    this.#cluster.trace(
      `member ${String(member.number)}: a bit of ${path} changes at ${String(offset)}`,
    );
    const { memberId } = member;
    /** Logs that were looked at since: one that is opened anew is looked at again. */
    const scrubbed = new WeakSet();
    member.damage = 'a bit of a segment changed';
    this.#operator.damaged(() => {
      const isThere = member.memberId === memberId && member.files(/\.log$/).includes(path);
      const isHealed = !isThere || member.disk.bytes(path)[offset] === before[offset];
      if (isHealed) member.damage = null;
      // One that has left may still be copied from, damaged as it is; it is not waited for.
      else if (!member.isRetired) this.#scrub(member, log.bucket, scrubbed);
      return isHealed || member.isRetired;
    });
  }

  /** What the background scrub does, once, and at once. */
  #scrub(member: SimulatedMember, bucket: number, scrubbed: WeakSet<object>): void {
    member.post((store) => {
      const log = store.group(bucket)?.log;
      if (log === undefined || log.quarantined || scrubbed.has(log)) return;
      scrubbed.add(log);
      let passes = 0;
      new Scrub({
        ...{ files: member.disk, logs: [log], bytesPerSecond: 1024 * 1024 },
        folderOf: (each) => segmentsFolder(DIRECTORY, each),
        observer: silentObserver,
        wait: (ms) => {
          if (ms >= 60_000) passes += 1;
          // The second pass never comes.
          return passes > 1 ? new Promise(() => undefined) : delay(1);
        },
      }).start();
    });
  }

  /** A bit of a file changes while the node is down: of the journal, but not of its last round, which nobody can tell from one that was torn. */
  flipAtRest(): void {
    const member = this.#someone();
    if (member === undefined || member.memberId === null || !this.#operator.mayLose) return;
    const { memberId } = member;
    member.damage = 'a bit of a file changed';
    let isFlipped = false;
    this.#operator.damaged(() => {
      // A member that has left is not started any more.
      const isOver = member.isRetired || (isFlipped && member.isUp) || member.memberId !== memberId;
      if (isOver) member.damage = null;
      return isOver;
    });
    this.#fates.set(member, () => {
      member.afterCrash('process');
      isFlipped = true;
      this.#flipAtRest(member);
    });
    member.crash();
  }

  #flipAtRest(member: SimulatedMember): void {
    const files = member.files(
      /\.journal$|\.json$|\.streams$|\.partitions$|\.events$|young\.index$/,
    );
    const path = files[this.#random.below(Math.max(1, files.length))];
    if (path === undefined) return;
    const { from, to } = path.endsWith('.journal')
      ? this.#roundOf(member, path)
      : { from: 0, to: member.disk.bytes(path).length };
    if (from === to) return;
    const offset = from + this.#random.below(to - from);
    member.disk.flip(path, offset, this.#random.below(8));
    this.#cluster.trace(
      `member ${String(member.number)}: a bit of ${path} changes at ${String(offset)}`,
    );
  }

  /** A round in a file of the journal, not the last one of all; or nothing. */
  #roundOf(member: SimulatedMember, path: string): { readonly from: number; readonly to: number } {
    const rounds = member.files(/\.journal$/).flatMap((file) => {
      const bytes = member.disk.bytes(file);
      const salt = decodeFileHeader(bytes)?.salt ?? 0;
      const found = [];
      for (let at = PAGE_BYTES; at < bytes.length; at += PAGE_BYTES) {
        const round = decodeRound(bytes, at, salt);
        if (round !== null) found.push({ file, at, ...round });
      }
      return found;
    });
    const last = Math.max(...rounds.map(({ number }) => number));
    const mine = rounds.filter(({ file, number }) => file === path && number < last);
    const round = mine[this.#random.below(Math.max(1, mine.length))];
    return round === undefined
      ? { from: 0, to: 0 }
      : { from: round.at, to: round.at + round.length };
  }

  drain(): void {
    const member = this.#someone();
    if (member !== undefined) void this.#operator.drain(member);
  }

  addNode(): void {
    this.#operator.add();
  }

  removeNode(): void {
    this.#operator.remove();
  }

  move(): void {
    this.#operator.move();
  }

  cancelMove(): void {
    this.#operator.cancel();
  }

  // Processes

  killAnyone(): void {
    this.#someone()?.crash();
  }

  /** At a write or sync that is still to come. */
  killSoon(): void {
    const member = this.#someone();
    if (member !== undefined) member.crashAfter(1 + this.#random.below(60));
  }

  killLeader(): void {
    this.#leader()?.crash();
  }

  /** The site loses its power. */
  cutPower(): void {
    this.#cluster.trace('the power goes');
    this.#nextCrash = { unsynced: this.#pick('drawn', 'drawn', 'lost') };
    for (const member of this.#cluster.members) member.crash();
    this.#nextCrash = null;
  }

  close(): void {
    this.#someone()?.close();
  }

  freeze(): void {
    const member = this.#random.below(2) === 0 ? this.#someone() : this.#leader();
    member?.freeze(50 + this.#random.below(this.#pick(300, 1500)));
  }

  slowDisk(): void {
    const member = this.#someone();
    if (member === undefined) return;
    member.diskDelayMs = 1 + this.#random.below(this.#pick(10, 100, 300));
    this.#cluster.trace(
      `member ${String(member.number)}'s disk is slow: ${String(member.diskDelayMs)} ms`,
    );
    this.#later(2000, () => (member.diskDelayMs = 0));
  }

  hangingDisk(): void {
    const member = this.#someone();
    if (member === undefined) return;
    this.#cluster.trace(`a write of member ${String(member.number)} hangs`);
    const fault = member.disk.hangNext({
      operation: this.#pick('writeDurably', 'writeDurably', 'sync', 'write'),
    });
    this.#diskFaults.push(fault);
    this.#later(1500, () => {
      fault.end();
    });
  }

  /** Its process ends, and the next one finds what was not made durable gone, or still in the page cache. */
  failingDisk(): void {
    const member = this.#someone();
    if (member === undefined) return;
    this.#cluster.trace(`a write or sync of member ${String(member.number)} will fail`);
    this.#diskFaults.push(member.failSoon());
  }

  fullDisk(): void {
    const member = this.#someone();
    if (member === undefined) return;
    const freeBytes = this.#random.below(this.#pick(1024, 32 * 1024));
    this.#cluster.trace(
      `member ${String(member.number)}'s disk has ${String(freeBytes)} bytes left`,
    );
    member.limitDisk(freeBytes);
    this.#later(3000, () => {
      member.limitDisk();
      this.#cluster.trace(`member ${String(member.number)}'s disk has room again`);
    });
  }

  weather(): void {
    const { network } = this.#cluster;
    network.weather = {
      lossPercent: this.#pick(0, 2, 20),
      repeatPercent: this.#pick(0, 2, 20),
      delayMs: this.#pick(1, 5, 40, 200),
    };
    const { lossPercent, repeatPercent, delayMs } = network.weather;
    this.#cluster.trace(
      `weather: ${String(lossPercent)} % lost, ${String(repeatPercent)} % twice, up to ${String(delayMs)} ms`,
    );
    this.#later(2500, () => (network.weather = fine));
  }

  /** Nobody hears one member, or it hears nobody, or both. */
  isolate(): void {
    const member = this.#random.below(2) === 0 ? this.#someone() : this.#leader();
    if (member !== undefined) this.#cut([member.number], this.#pick('in', 'out', 'both', 'both'));
  }

  split(): void {
    const { members } = this.#cluster;
    const side = members.map(({ number }) => number).filter(() => this.#random.below(2) === 0);
    this.#cut(side, this.#pick('in', 'out', 'both', 'both'));
  }

  transfer(): void {
    const cluster = this.#cluster;
    const bucket = this.#random.below(cluster.options.bucketCount);
    const [leader] = cluster.leaders(bucket);
    const voters = leader?.group(bucket)?.core.configuration.voters ?? [];
    const id = voters[this.#random.below(voters.length)];
    if (leader === undefined || id === undefined) return;
    cluster.trace(`member ${String(leader.number)} hands bucket ${String(bucket)} to ${id}`);
    leader.post((store) => store.group(bucket)?.transfer(id));
  }

  clock(): void {
    const member = this.#someone();
    if (member === undefined) return;
    member.clockOffsetMs += this.#pick(-3_600_000, -1000, 1000, 3_600_000);
    this.#cluster.trace(
      `member ${String(member.number)}'s clock is off by ${String(member.clockOffsetMs)} ms`,
    );
  }

  #cut(side: readonly number[], way: 'in' | 'out' | 'both'): void {
    const { network, members } = this.#cluster;
    this.#cluster.trace(`cut: ${side.join(', ')} (${way})`);
    for (const { number } of members) {
      if (side.includes(number)) continue;
      for (const cut of side) {
        if (way !== 'in') network.cut(cut, number);
        if (way !== 'out') network.cut(number, cut);
      }
    }
    this.#later(this.#pick(300, 1500, 3000), () => {
      network.heal();
      this.#cluster.trace('the network is whole again');
    });
  }

  #later(atMostMs: number, work: () => void): void {
    this.#cluster.time.after(20 + this.#random.below(atMostMs), null, () => {
      if (!this.#isOver) work();
    });
  }

  #someone(): SimulatedMember | undefined {
    const alive = this.#cluster.members.filter(({ life }) => life !== null);
    return alive[this.#random.below(Math.max(1, alive.length))];
  }

  #leader(): SimulatedMember | undefined {
    return this.#cluster.leaders(this.#random.below(this.#cluster.options.bucketCount))[0];
  }

  #pick<T>(...values: readonly T[]): T {
    return values[this.#random.below(values.length)] as T;
  }
}

const faults: readonly (readonly [string, number, Fault])[] = [
  ['wipe', 5, 'wipe'],
  ['rolled-back disk', 8, 'rollBack'],
  ['bit of a segment', 6, 'flipSegment'],
  ['bit of a file at rest', 4, 'flipAtRest'],
  ['drain', 5, 'drain'],
  ['node added', 5, 'addNode'],
  ['node removed', 5, 'removeNode'],
  ['move', 12, 'move'],
  ['move cancelled', 4, 'cancelMove'],
  ['kill', 6, 'killAnyone'],
  ['kill at an operation', 10, 'killSoon'],
  ['kill a leader', 8, 'killLeader'],
  ['power cut', 5, 'cutPower'],
  ['stop', 4, 'close'],
  ['freeze', 8, 'freeze'],
  ['slow disk', 6, 'slowDisk'],
  ['hanging disk', 5, 'hangingDisk'],
  ['failing disk', 5, 'failingDisk'],
  ['full disk', 5, 'fullDisk'],
  ['weather', 8, 'weather'],
  ['isolation', 10, 'isolate'],
  ['split', 6, 'split'],
  ['transfer', 8, 'transfer'],
  ['clock', 4, 'clock'],
];

const isOfGoodDisks = ([name]: (typeof faults)[number]): boolean =>
  name !== 'failing disk' && name !== 'full disk';

const changing: ReadonlySet<string> = new Set([
  ...['wipe', 'rolled-back disk', 'bit of a segment', 'bit of a file at rest'],
  ...['node added', 'node removed', 'move', 'move cancelled'],
]);

const isOfSameMembers = ([name]: (typeof faults)[number]): boolean => !changing.has(name);
