/**
 * Stops the program on a mistake of ours. Faults of the world (disk, network, clients) are errors that someone
 * handles, see `common/errors.ts`; they never come here.
 */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/** Throws {@link AssertionFailure} unless `condition` holds. `what` names the property that was broken. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailure(what);
}
