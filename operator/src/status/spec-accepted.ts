import type { StatusLook } from './look.ts';
import type { Finding } from './reasons.ts';
import { clipped, ended } from './text.ts';

/** False: nothing is done until the spec is mended; what runs goes on as it is. */
export function specAccepted({
  refusals,
  observed: { spec },
}: StatusLook): Finding<'SpecAccepted'> {
  const type = 'SpecAccepted';
  const [first] = refusals;
  if (first !== undefined) {
    const message = clipped(ended(refusals.map((refusal) => refusal.message).join('; ')));
    return { type, status: 'False', reason: first.reason, message };
  }
  const { bucketCount, nodes, factor } = spec;
  if (bucketCount >= nodes) {
    return { type, status: 'True', reason: 'Accepted', message: 'The spec is accepted.' };
  }
  const idle = bucketCount * factor < nodes ? 'some nodes hold nothing' : 'some nodes lead nothing';
  return {
    ...{ type, status: 'True', reason: 'FewBuckets' },
    message: `There are ${bucketCount} buckets for ${nodes} nodes: ${idle}. The number of buckets cannot be changed; ask for ${bucketCount} nodes at most, or move to a cluster with more buckets.`,
  };
}
