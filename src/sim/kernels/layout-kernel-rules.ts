/**
 * The rules of the layout kernel as switches. Most are switched inside the node; the wrong ways to count `since` need a
 * wrong layout, which is made here.
 */
import type { Epoch, NodeId } from '../../domain/ids.ts';
import type { Layout, LayoutArc } from '../../domain/layout.ts';
import { replicaSets } from '../../ring/placement.ts';

/** Each true is a rule in force. */
export interface LayoutKernelRules {
  /** A.4 (1): the carried layout is adopted before the slot is read. */
  readonly adoptBeforeSlot: boolean;
  /** A.4 (1): a vote is durable before its reply; without, one crash forgets it (in searches; storms crash too seldom at the right moment). */
  readonly voteDurable: boolean;
  /** A.4 (2): an accepted value isn't taken for decided. */
  readonly acceptedIsNotDecided: boolean;
  /** A.4 (2): a proposer takes over the highest reported value. */
  readonly adoptHighest: boolean;
  /** A.4 (5): a move ends in its new layout only when a majority of each new replica set has caught up. */
  readonly waitsForCaught: boolean;
  /** A.4 (5): `caught` is reset at each adoption. */
  readonly caughtReset: boolean;
  /** A.4 (6): a move is given up, too, when an arc has lost a majority; not only when a joiner is down. */
  readonly abortsWithoutMajority: boolean;
  /** A.4 (7): replicas refuse messages of another epoch. */
  readonly epochFence: boolean;
  /** A.4 (7): majorities of old and of new; or of one of them. */
  readonly quorum: 'both' | 'old' | 'new';
  /** A.4 (8): retained members catch up too. */
  readonly retainedCatchUp: boolean;
  /** A.4 (9): a leaver exits only after a majority of its newest layout's voters has reported that epoch. */
  readonly leaverWaits: boolean;
  /** A.4 (10): counted for each member from the moving epoch; or for the arc as a whole, or from the stable epoch, or ignored. */
  readonly since: 'moving' | 'arc' | 'stable' | 'ignored';
  /** A.4 (10): the discard is durable with the layout, not after it. */
  readonly discardWithLayout: boolean;
}

export const ALL_LAYOUT_RULES: LayoutKernelRules = {
  adoptBeforeSlot: true, voteDurable: true, acceptedIsNotDecided: true, adoptHighest: true, waitsForCaught: true, caughtReset: true, abortsWithoutMajority: true,
  epochFence: true, quorum: 'both',
  retainedCatchUp: true, leaverWaits: true, since: 'moving', discardWithLayout: true,
};

/** The bug of counting `since` from the stable epoch: what joined with the moving layout is as if it joined now. */
export function sinceFromStable(present: Layout, next: Layout, seen: ReadonlyMap<NodeId, Epoch>): Layout {
  const isMove = next.phase === 'moving';
  const ends = [...new Set([...present.arcs, ...next.arcs].map((arc) => arc.end))].sort((a, b) => a - b);
  const arcs = ends.map((end): LayoutArc => {
    const before = replicaSets(present, end);
    const after = replicaSets(next, end);
    const since = new Map<NodeId, Epoch>();
    for (const nodeId of isMove ? before.old : after.old) {
      const first = before.old.includes(nodeId) ? present.arcs.find((arc) => arc.end === before.end)?.since.get(nodeId) ?? 0 : next.epoch;
      if (first > (seen.get(nodeId) ?? 0)) since.set(nodeId, first);
    }
    return { end, old: after.old, new: after.new, since };
  });
  return { ...next, arcs };
}

/** The bug of one `since` for all members of an arc: that of its latest comer, who alone may have reported. */
export function sinceOfArc(next: Layout, seen: ReadonlyMap<NodeId, Epoch>): Layout {
  const arcs = next.arcs.map((arc): LayoutArc => {
    const members = [...new Set([...arc.old, ...arc.new])];
    const least = Math.min(...members.map((nodeId) => arc.since.get(nodeId) ?? 0));
    const since = new Map<NodeId, Epoch>();
    for (const nodeId of members) if (least > (seen.get(nodeId) ?? 0)) since.set(nodeId, least);
    return { ...arc, since };
  });
  return { ...next, arcs };
}

/** The bug of giving a move up only for a joiner that is down: other lost majorities are waited for, for ever. */
export function isAbortForMajority(present: Layout, next: Layout, live: ReadonlySet<NodeId>): boolean {
  const joiners = present.members.filter((member) => member.state === 'joining');
  const isAbort = present.phase === 'moving' && next.members.every((member) => joiners.every((joiner) => joiner.nodeId !== member.nodeId))
    && present.members.every((member) => member.state === 'joining' || next.members.some((other) => other.nodeId === member.nodeId));
  return isAbort && joiners.every((joiner) => live.has(joiner.nodeId));
}
