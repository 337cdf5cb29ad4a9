/**
 * Which sealed segments of a bucket may hold a key: the filters of single segments, and above them summaries over groups
 * of 4, 16 and 64 segments, so that a key never seen before costs a handful of probes however old the bucket is.
 *
 * ```ts
 * const found = forest.candidates(hash);
 * const segments = found instanceof Promise ? await found : found;
 * ```
 *
 * Invariants:
 * - a segment that holds the key is always among the candidates: whatever can not be read or is damaged says "maybe";
 * - the forest's roots cover every segment once, in ascending order; a summary stands above exactly the segments it was
 *   built from;
 * - filters in memory take at most `budgetBytes`, roots before what is below them, newer before older; the others are
 *   probed in place through the block cache.
 *
 * Groups are aligned to segment numbers, so that they are the same on every replica and after every start.
 */
import type { BlockCache } from './block-cache.ts';
import { IndexDamageError } from './errors.ts';
import type { KeyFilter } from './filter.ts';
import {
  keyCount,
  openFilterSummary,
  summaryBytes,
  type SummarizedSegment,
  type SummaryKind,
} from './filter-summary.ts';
import type { IndexBuilds } from './index-builds.ts';
import type { OpenFiles } from './open-files.ts';
import type { SegmentIndex } from './segment-index.ts';
import type { StoredFilter } from './stored-filter.ts';

/**
 * Segments per summary, each a multiple of the one before. Four at a time: a hundred segments have six roots on average,
 * with eight at a time they have nine, and each summary costs 1.8 bytes per key on disk.
 */
const TIERS = [4, 16, 64] as const;
/** Larger summaries are not built: they would drive too many others out of memory, and the builder holds one whole. */
const SUMMARY_BYTES_MAX = 16 << 20;

export interface FilterForestOptions {
  readonly folder: string;
  readonly kind: SummaryKind;
  readonly cache: BlockCache;
  readonly openFiles: OpenFiles;
  readonly builds: IndexBuilds;
  /** Memory for filters. */
  readonly budgetBytes: number;
}

/** A filter and what stands below it. */
class FilterNode {
  readonly stored: StoredFilter;
  /** Segments covered, ascending. */
  readonly segments: readonly SummarizedSegment[];
  /** Empty for a single segment's own filter. */
  readonly children: readonly FilterNode[];
  readonly keys: number;
  resident: KeyFilter | null = null;
  /** The stored filter has failed its checksum: it rules nothing out any more. */
  damaged = false;
  /** Reading it as a whole has failed once; it is left on disk. */
  unloadable = false;

  constructor(
    stored: StoredFilter,
    segments: readonly SummarizedSegment[],
    children: readonly FilterNode[],
    keys: number,
  ) {
    this.stored = stored;
    this.segments = segments;
    this.children = children;
    this.keys = keys;
  }

  get first(): number {
    return (this.segments[0] as SummarizedSegment).segment;
  }

  /** Whether a key with this hash may be here; undefined when only the disk knows. */
  peek(hash: number): boolean | undefined {
    if (this.resident !== null) return this.resident.has(hash);
    if (this.damaged) return true;
    try {
      return this.stored.peek(hash);
    } catch (error) {
      return this.#maybe(error);
    }
  }

  /** The same, from disk if need be. */
  async probe(hash: number): Promise<boolean> {
    const known = this.peek(hash);
    if (known !== undefined) return known;
    try {
      return await this.stored.probe(hash);
    } catch (error) {
      return this.#maybe(error);
    }
  }

  /** Brings the whole filter into memory, or leaves it on disk if it can not be read. */
  async load(): Promise<void> {
    try {
      this.resident = await this.stored.load();
    } catch {
      this.unloadable = true;
    }
  }

  /** A filter that can not be read rules nothing out. Only damage is remembered: the disk may answer the next time. */
  #maybe(error: unknown): true {
    this.damaged = error instanceof IndexDamageError;
    return true;
  }
}

const groupOf = (tier: number, segment: number): number => Math.floor(segment / tier);
const groupKey = (tier: number, group: number): string => `${String(tier)}:${String(group)}`;

export class FilterForest {
  readonly #options: FilterForestOptions;
  /** The filters of single segments, ascending. */
  #leaves: FilterNode[] = [];
  /** Summaries by tier and group; null: could not be had, tried again at the next start. */
  readonly #summaries = new Map<string, FilterNode | null>();
  #roots: readonly FilterNode[] = [];
  #work: Promise<void> | null = null;
  /** Calls of `add`, so that work about to end looks again. */
  #additions = 0;
  #closed = false;

  constructor(options: FilterForestOptions) {
    this.#options = options;
  }

  /** Bytes of filters in memory. */
  get memoryBytes(): number {
    return this.#nodes().reduce((sum, node) => sum + (node.resident?.bytes.length ?? 0), 0);
  }

  /** Takes in a sealed segment, in place of one with the same number; it is among the candidates from now on. */
  add(index: SegmentIndex): void {
    const { segment, lastCrc } = index.summary;
    const { kind } = this.#options;
    const stored = kind === 'streams' ? index.streamFilter : index.eventFilter;
    const leaf = new FilterNode(stored, [{ segment, lastCrc }], [], keyCount(index, kind));
    this.#leaves = this.#leaves.filter(({ first }) => first !== segment);
    let at = this.#leaves.length;
    while (at > 0 && (this.#leaves[at - 1] as FilterNode).first > segment) at -= 1;
    this.#leaves.splice(at, 0, leaf);
    for (const tier of TIERS) this.#summaries.delete(groupKey(tier, groupOf(tier, segment)));
    this.#roots = this.#level(TIERS.length);
    this.#additions += 1;
    this.#work ??= this.#settle();
  }

  /** Numbers of the segments that may hold a key with this hash, ascending; at once where memory knows. */
  candidates(hash: number): number[] | Promise<number[]> {
    const found: number[] = [];
    return collect(this.#roots, hash, found) ? found : collectFromDisk(this.#roots, hash);
  }

  /** True only if no segment holds a key with this hash; false also where only the disk knows. */
  lacks(hash: number): boolean {
    return lack(this.#roots, hash);
  }

  /**
   * Number of the newest segment before segment `below` that may hold a key with this hash, or null; at once where
   * memory knows. Asks no filter of older segments.
   */
  newest(hash: number, below: number = Infinity): number | null | Promise<number | null> {
    const found = newestOf(this.#roots, hash, below);
    return found === undefined ? newestFromDisk(this.#roots, hash, below) : found;
  }

  /** Resolves when no filter is being loaded and no summary being built. */
  async settled(): Promise<void> {
    while (this.#work !== null) await this.#work;
  }

  /** Ends work in the background; call it before index builds and open files are closed. Look-ups still work. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.settled();
  }

  /** Nodes that cover every segment once, using summaries of the first `tiers` tiers. */
  #level(tiers: number): FilterNode[] {
    let level = this.#leaves;
    for (const tier of TIERS.slice(0, tiers)) {
      level = level.flatMap((node) => {
        const summary = this.#summaries.get(groupKey(tier, groupOf(tier, node.first)));
        if (summary === undefined || summary === null) return [node];
        return node.first === summary.first ? [summary] : [];
      });
    }
    return level;
  }

  #nodes(): FilterNode[] {
    const summaries = [...this.#summaries.values()].filter((node) => node !== null);
    return [...this.#leaves, ...summaries];
  }

  /** Provides missing summaries and brings the most useful filters into memory, until nothing is left to do. */
  async #settle(): Promise<void> {
    // At start, segments are admitted one after the other; a turn later more of them are here.
    await Promise.resolve();
    while (!this.#closed) {
      const additions = this.#additions;
      if ((await this.#summarizeNext()) || (await this.#loadNext())) continue;
      if (this.#additions === additions) break;
    }
    this.#work = null;
  }

  /** Opens or builds one missing summary; false when none is missing. */
  async #summarizeNext(): Promise<boolean> {
    for (const [i, tier] of TIERS.entries()) {
      const group = this.#groupWithoutSummary(tier);
      if (group === null) continue;
      const key = groupKey(tier, group);
      const children = this.#level(i).filter(({ first }) => groupOf(tier, first) === group);
      const summary = await this.#summary(children);
      // A segment may have been replaced meanwhile; its group is looked at again then.
      const isCurrent = children.every((child) => this.#level(i).includes(child));
      if (isCurrent) this.#summaries.set(key, summary);
      this.#roots = this.#level(TIERS.length);
      return true;
    }
    return false;
  }

  /** The oldest group that is complete, up to its last segment and without a gap, and was not summarized yet. */
  #groupWithoutSummary(tier: number): number | null {
    let run = 0;
    for (const [i, { first }] of this.#leaves.entries()) {
      const before = this.#leaves[i - 1]?.first;
      const begins = before === undefined || groupOf(tier, before) !== groupOf(tier, first);
      run = begins ? 1 : before === first - 1 ? run + 1 : -Infinity;
      const isLast = first % tier === tier - 1;
      const key = groupKey(tier, groupOf(tier, first));
      if (isLast && run > 1 && !this.#summaries.has(key)) return groupOf(tier, first);
    }
    return null;
  }

  /** The summary above `children`, from disk or built now; null where there can not be one. */
  async #summary(children: readonly FilterNode[]): Promise<FilterNode | null> {
    const { folder, kind, cache, openFiles, builds } = this.#options;
    const keys = children.reduce((sum, child) => sum + child.keys, 0);
    if (summaryBytes(keys) > SUMMARY_BYTES_MAX) return null;
    const segments = children.flatMap((child) => child.segments);
    const open = (): Promise<StoredFilter> =>
      openFilterSummary(openFiles, folder, kind, segments, cache);
    try {
      const stored = await open().catch(async () => {
        const numbers = segments.map(({ segment }) => segment);
        await builds.summarize(folder, kind, numbers);
        return open();
      });
      return new FilterNode(stored, segments, children, keys);
    } catch {
      // No space, a damaged index, the store being closed: the children are asked instead.
      return null;
    }
  }

  /** Drops filters that have become less useful than others, then loads one; false when nothing is left to load. */
  async #loadNext(): Promise<boolean> {
    const wanted = this.#wanted();
    for (const node of this.#nodes()) if (!wanted.has(node)) node.resident = null;
    for (const node of wanted) {
      if (node.resident !== null || node.unloadable) continue;
      await node.load();
      return true;
    }
    return false;
  }

  /** The filters that shall be in memory, most useful first: roots, which every look-up asks, then the newest. */
  #wanted(): Set<FilterNode> {
    const roots = new Set(this.#roots);
    const byUse = this.#nodes().sort(
      (a, b) => Number(roots.has(b)) - Number(roots.has(a)) || b.first - a.first,
    );
    const wanted = new Set<FilterNode>();
    let bytes = 0;
    for (const node of byUse) {
      if (bytes + node.stored.bytes > this.#options.budgetBytes) continue;
      bytes += node.stored.bytes;
      wanted.add(node);
    }
    return wanted;
  }
}

/** Adds the candidates among `nodes` to `found`; false if the disk has to be asked. */
function collect(nodes: readonly FilterNode[], hash: number, found: number[]): boolean {
  for (const node of nodes) {
    const answer = node.peek(hash);
    if (answer === undefined) return false;
    if (!answer) continue;
    if (node.children.length === 0) found.push(node.first);
    else if (!collect(node.children, hash, found)) return false;
  }
  return true;
}

async function collectFromDisk(nodes: readonly FilterNode[], hash: number): Promise<number[]> {
  const found: number[] = [];
  for (const node of nodes) {
    if (!(await node.probe(hash))) continue;
    if (node.children.length === 0) found.push(node.first);
    else found.push(...(await collectFromDisk(node.children, hash)));
  }
  return found;
}

function lack(nodes: readonly FilterNode[], hash: number): boolean {
  for (let i = nodes.length - 1; i >= 0; i -= 1) {
    const node = nodes[i] as FilterNode;
    if (node.peek(hash) === false) continue;
    if (node.children.length === 0 || !lack(node.children, hash)) return false;
  }
  return true;
}

/** Undefined if the disk has to be asked. */
function newestOf(
  nodes: readonly FilterNode[],
  hash: number,
  below: number,
): number | null | undefined {
  for (let i = nodes.length - 1; i >= 0; i -= 1) {
    const node = nodes[i] as FilterNode;
    if (node.first >= below) continue;
    const answer = node.peek(hash);
    if (answer === undefined) return undefined;
    if (!answer) continue;
    if (node.children.length === 0) return node.first;
    const found = newestOf(node.children, hash, below);
    if (found !== null) return found;
  }
  return null;
}

async function newestFromDisk(
  nodes: readonly FilterNode[],
  hash: number,
  below: number,
): Promise<number | null> {
  for (const node of [...nodes].reverse()) {
    if (node.first >= below || !(await node.probe(hash))) continue;
    if (node.children.length === 0) return node.first;
    const found = await newestFromDisk(node.children, hash, below);
    if (found !== null) return found;
  }
  return null;
}
