/** Who wrote which leaves of an object, and what follows from that. */
import {
  isSame,
  leavesOf,
  removeLeaf,
  SEPARATOR,
  setLeaf,
  type Json,
  type JsonObject,
} from './field-sets.ts';
import { Refusal } from './refusal.ts';

/** Who owns which leaves. */
export class FieldOwners {
  readonly #paths = new Map<string, Set<string>>();

  copy(): FieldOwners {
    const copied = new FieldOwners();
    for (const [manager, paths] of this.#paths) copied.set(manager, paths);
    return copied;
  }

  get managers(): string[] {
    return [...this.#paths].filter(([, paths]) => paths.size > 0).map(([manager]) => manager);
  }

  /** The other managers of `path`, or of something in it. */
  others(manager: string, path: string): string[] {
    const isWithin = (own: string): boolean => own === path || own.startsWith(path + SEPARATOR);
    return [...this.#paths]
      .filter(([other, paths]) => other !== manager && [...paths].some(isWithin))
      .map(([other]) => other);
  }

  /** What `manager` applied before. */
  of(manager: string): ReadonlySet<string> {
    return this.#paths.get(manager) ?? new Set();
  }

  set(manager: string, paths: Iterable<string>): void {
    this.#paths.set(manager, new Set(paths));
  }

  take(manager: string, path: string): void {
    for (const other of this.others(manager, path)) this.#paths.get(other)?.delete(path);
    const own = this.#paths.get(manager) ?? new Set();
    this.#paths.set(manager, own.add(path));
  }

  forget(path: string): void {
    for (const paths of this.#paths.values()) paths.delete(path);
  }
}

/** What is left of an object and its owners after `manager` applied `wanted`. */
export function applied(
  object: JsonObject,
  owners: FieldOwners,
  wanted: ReadonlyMap<string, Json>,
  manager: string,
  isForced: boolean,
): JsonObject {
  const next = structuredClone(object);
  const live = leavesOf(object);
  for (const [path, value] of wanted) {
    if (live.has(path) && isSame(live.get(path), value)) continue;
    const others = live.has(path) ? owners.others(manager, path) : [];
    if (others.length > 0 && !isForced) {
      throw new Refusal(409, 'Conflict', `Apply failed with a conflict with ${others.join(', ')}`);
    }
    setLeaf(next, path, value);
    owners.take(manager, path);
  }
  for (const path of owners.of(manager)) {
    const isLeft = !wanted.has(path) && owners.others(manager, path).length === 0;
    if (isLeft) removeLeaf(next, path);
  }
  return next;
}

/** Who changes a leaf owns it alone. */
export function own(
  owners: FieldOwners,
  manager: string,
  before: ReadonlyMap<string, Json>,
  after: ReadonlyMap<string, Json>,
): void {
  for (const [path, value] of after) {
    if (!before.has(path) || !isSame(before.get(path), value))
      owners.take(`${manager}/Update`, path);
  }
  for (const path of before.keys()) if (!after.has(path)) owners.forget(path);
}
