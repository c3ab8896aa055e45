/** Shares: which part of the ring each member owns as first of the preference list, and which it has to hold in all. */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { clockwiseDistance, ringSize } from '../domain/ring-position.ts';
import { allReplicaSets, type ReplicaSets } from './placement.ts';

export interface Share {
  /** Part of the ring, 0 to 1. All members' together are 1. */
  readonly ownedShare: number;
  /** Of old and new replica sets. Together they are the effective n in a stable layout. */
  readonly heldShare: number;
}

export function shares(layout: Layout): ReadonlyMap<NodeId, Share> {
  const parts = new Map<NodeId, { ownedShare: number; heldShare: number }>(
    layout.members.map((member) => [member.nodeId, { ownedShare: 0, heldShare: 0 }]),
  );
  for (const sets of allReplicaSets(layout)) {
    const share = arcShare(sets, layout.keyBits);
    const owner = parts.get(sets.old[0] as NodeId);
    if (owner !== undefined) owner.ownedShare += share;
    for (const nodeId of sets.all) {
      const holder = parts.get(nodeId);
      if (holder !== undefined) holder.heldShare += share;
    }
  }
  return parts;
}

/** Part of the ring that the arc covers, 0 to 1. */
export function arcShare(sets: Pick<ReplicaSets, 'from' | 'end'>, keyBits: number): number {
  return sets.from === sets.end ? 1 : clockwiseDistance(sets.from, sets.end, keyBits) / ringSize(keyBits);
}
