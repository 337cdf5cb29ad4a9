import type { RaftLog } from './types.ts';

/**
 * What a follower tells a leader whose entry at `index` it does not have: the latest entry, at or before it, that may agree with
 * a leader whose entry there is of `term`; the commit index, of no term, where everything behind that does not.
 */
export function hintFor(
  log: RaftLog,
  commit: number,
  index: number,
  term: number,
): { readonly index: number; readonly term: number } {
  for (let at = Math.min(index, log.lastIndex); ; at -= 1) {
    const own = log.term(at);
    if (at <= commit || own === null) return { index: commit, term: 0 };
    if (own <= term) return { index: at, term: own };
  }
}
