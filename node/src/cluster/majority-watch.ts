/**
 * Buckets that were led here until a majority fell silent, and that nobody else has led since: of those a member knows more than
 * that they have no leader.
 */
import type { RaftGroup } from '../replication/raft-group.ts';
import { majority } from '../replication/raft/configuration.ts';

export interface Majority {
  /** Voters that were heard of, this member among them. */
  readonly available: number;
  readonly required: number;
}

export class MajorityWatch {
  /** By bucket: what its leader here heard of, and the term in which it led. */
  readonly #led = new Map<number, Majority & { readonly term: number }>();

  /** To be called before every tick: the one at which a leader steps down forgets whom it has heard of. */
  look(group: RaftGroup): void {
    if (!group.isTickDue) return;
    const { core, log, replicaId } = group;
    const { leadership, term, configuration } = core;
    if (leadership === null) return;
    const { voters } = configuration;
    const heard = voters.filter((id) => id === replicaId || leadership.progress(id)?.isActive);
    const required = majority(voters.length);
    this.#led.set(log.bucket, { available: heard.length, required, term });
  }

  /** Null where a majority is there, or where that is not known here. */
  lost({ core, log }: RaftGroup): Majority | null {
    const led = this.#led.get(log.bucket);
    // In a later term somebody stands for election or leads; in its own, a leader steps down for nothing else.
    if (led === undefined || led.term !== core.term || core.leader !== null) return null;
    return led.available < led.required ? led : null;
  }
}
