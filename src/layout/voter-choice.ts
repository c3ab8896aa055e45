/**
 * Voters: the few members that decide the next layout: 1 for 1 to 2 members, 3 for 3 to 6, 5 from 7 up. They change only with a
 * stable layout of new members. Present voters stay while they are up; a majority of the chosen has to be up and has
 * to have persisted the present epoch, otherwise the chain could be handed to nodes that can't go on with it.
 * Source: protocol section A.4 (1), (3).
 */
import type { Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';

export function voterCount(memberCount: number): number {
  return memberCount < 3 ? 1 : memberCount < 7 ? 3 : 5;
}

/** Voters among these members for the layout that follows; null: no choice has a majority that is up and has followed. */
export function chooseVoters(
  present: Layout,
  members: readonly NodeId[],
  live: ReadonlySet<NodeId>,
  seen: ReadonlyMap<NodeId, Epoch>,
): NodeId[] | null {
  const hasFollowed = (nodeId: NodeId): boolean => live.has(nodeId) && (seen.get(nodeId) ?? 0) >= present.epoch;
  const rank = (nodeId: NodeId): number => {
    const isVoter = present.voters.includes(nodeId);
    if (isVoter && live.has(nodeId)) return 0;
    if (hasFollowed(nodeId)) return 1;
    if (live.has(nodeId)) return 2;
    return isVoter ? 3 : 4;
  };
  const voters = [...members]
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .slice(0, voterCount(members.length))
    .sort();
  return voters.filter(hasFollowed).length > voters.length / 2 ? voters : null;
}
