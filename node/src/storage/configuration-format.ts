/**
 * Who belongs to a group, as it stands in frames of the kind `configuration` and in checkpoints.
 *
 * ```text
 * 0 u8 voters   1 u8 outgoing voters   2 u8 learners   3 zero   4 replica ids of 8 bytes, in this order
 * ```
 *
 * Values on disk: do not change.
 */
import { REPLICA_ID_BYTES } from './journal-format.ts';

const HEADER_BYTES = 4;

/** Replica ids, 8 bytes each. While `outgoing` is not empty, both sets of voters decide. */
export interface ConfigurationRecord {
  readonly voters: readonly Uint8Array[];
  readonly outgoing: readonly Uint8Array[];
  readonly learners: readonly Uint8Array[];
}

export function encodeConfiguration({ voters, outgoing, learners }: ConfigurationRecord): Buffer {
  const counts = Buffer.from([voters.length, outgoing.length, learners.length, 0]);
  return Buffer.concat([counts, ...voters, ...outgoing, ...learners]);
}

export function decodeConfiguration(bytes: Uint8Array): ConfigurationRecord {
  const ids: Buffer[] = [];
  for (let at = HEADER_BYTES; at + REPLICA_ID_BYTES <= bytes.length; at += REPLICA_ID_BYTES) {
    ids.push(Buffer.from(bytes.subarray(at, at + REPLICA_ID_BYTES)));
  }
  const [voters = 0, outgoing = 0] = bytes;
  return {
    voters: ids.slice(0, voters),
    outgoing: ids.slice(voters, voters + outgoing),
    learners: ids.slice(voters + outgoing),
  };
}

/** The group of one. */
export const aloneConfiguration = (replicaId: Uint8Array): Buffer =>
  encodeConfiguration({ voters: [replicaId], outgoing: [], learners: [] });

/** Whether this replica decides alone: what is durable here is committed. */
export function isAlone(configuration: Uint8Array, replicaId: Uint8Array): boolean {
  if (configuration[0] !== 1 || configuration[1] !== 0) return false;
  return (
    Buffer.compare(
      configuration.subarray(HEADER_BYTES, HEADER_BYTES + REPLICA_ID_BYTES),
      replicaId,
    ) === 0
  );
}
