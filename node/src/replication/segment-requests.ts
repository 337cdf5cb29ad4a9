/** Segments of other members, asked for over the peer network. */
import { clusterPaths } from '../../../common/cluster-contract.ts';
import type { SegmentSource } from './log-copies.ts';
import { PeerError, type PeerRequests } from './peer-requests.ts';
import type { SegmentListing } from './segment-serving.ts';

/** A piece that takes longer than this comes from a member that is as good as away. */
const ANSWER_MS = 15_000;

export function peerSegments(peers: Pick<PeerRequests, 'get'>): SegmentSource {
  const inTime = (signal: AbortSignal): AbortSignal =>
    AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  return {
    segments: async (member, bucket, signal) => {
      const body = await peers.get(member, clusterPaths.segments(bucket), null, inTime(signal));
      return listingOf(body);
    },
    read: (member, bucket, segment, from, to, signal, landing) => {
      const path = clusterPaths.segment(bucket, segment);
      return peers.get(member, path, { from, to }, inTime(signal), landing);
    },
  };
}

function listingOf(body: Buffer): readonly SegmentListing[] {
  const listed = JSON.parse(body.toString()) as unknown;
  const isListing = (value: unknown): value is SegmentListing =>
    typeof value === 'object' &&
    value !== null &&
    Number.isSafeInteger((value as SegmentListing).segment) &&
    Number.isSafeInteger((value as SegmentListing).bytes);
  if (!Array.isArray(listed) || !listed.every(isListing)) {
    throw new PeerError('a list of segments was expected', 'unknown');
  }
  return listed;
}
