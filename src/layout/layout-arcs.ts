/**
 * Arcs of the next layout: replica sets by the preference lists of the rings before and after the change, and `since`
 * by A.4 (10). The ring is first cut at every token and at every end of the present layout, so that each piece lies in
 * one present arc; then neighbours with equal (old, new, since) are joined again, never by taking the lower or higher
 * `since` of two.
 *
 * Cost: one walk for each token of both rings.
 */
import type { Epoch, NodeId } from '../domain/ids.ts';
import type { Layout, LayoutArc, LayoutMember } from '../domain/layout.ts';
import type { Position } from '../domain/ring-position.ts';
import { replicaSets, type ReplicaSets } from '../ring/placement.ts';
import { preferenceList } from '../ring/preference-list.ts';
import { tokenRing, type TokenRing } from '../ring/token-ring.ts';

/** Members that own before and after the change. The same list for a stable layout. */
export interface OwnerChange {
  readonly before: readonly LayoutMember[];
  readonly after: readonly LayoutMember[];
}

/** Arcs of layout `present.epoch + 1`. `seen`: the highest epoch each node itself reported as persisted. */
export function nextArcs(present: Layout, change: OwnerChange, seen: ReadonlyMap<NodeId, Epoch>): LayoutArc[] {
  const listBefore = listing(change.before, present.replicas);
  const listAfter = change.before === change.after ? listBefore : listing(change.after, present.replicas);
  const sinceAt = sinceLookUp(present);
  const cuts = [...change.before.flatMap((member) => member.tokens), ...change.after.flatMap((member) => member.tokens), ...present.arcs.map((arc) => arc.end)];
  return joinNeighbours(sortedUnique(cuts).map((end): LayoutArc => {
    const before = listBefore(end);
    const after = listAfter(end);
    const active = new Set(replicaSets(present, end).all);
    const since = new Map<NodeId, Epoch>();
    for (const nodeId of new Set([...before, ...after])) {
      const first = active.has(nodeId) ? sinceAt(end).get(nodeId) ?? 0 : present.epoch + 1;
      if (first > (seen.get(nodeId) ?? 0)) since.set(nodeId, first);
    }
    return { end, old: before, new: after, since };
  }));
}

/** What a recovery (recovery.ts) makes of an arc: its old set, and whether what its members have there is never discarded. */
export interface RecoveredSets {
  readonly old: readonly NodeId[];
  readonly keepsAll: boolean;
}

/** Arcs of the layout that a recovery makes: `new` is the preference list of the survivors, `old` as told. */
export function recoveryArcs(present: Layout, survivors: readonly LayoutMember[], epoch: Epoch, oldAt: (sets: ReplicaSets) => RecoveredSets): LayoutArc[] {
  const list = listing(survivors, present.replicas);
  const sinceAt = sinceLookUp(present);
  const cuts = [...survivors.flatMap((member) => member.tokens), ...present.arcs.map((arc) => arc.end)];
  return joinNeighbours(sortedUnique(cuts).map((end): LayoutArc => {
    const sets = replicaSets(present, end);
    const { old, keepsAll } = oldAt(sets);
    const next = list(end);
    const since = new Map<NodeId, Epoch>();
    for (const nodeId of new Set([...old, ...next])) {
      const first = sets.all.includes(nodeId) ? sinceAt(end).get(nodeId) ?? 0 : epoch;
      if (!keepsAll && first > 0) since.set(nodeId, first);
    }
    return { end, old, new: next, since };
  }));
}

/** Arcs of a founding layout: nobody has been away. */
export function foundingArcs(members: readonly LayoutMember[], replicas: number): LayoutArc[] {
  const list = listing(members, replicas);
  return joinNeighbours(sortedUnique(members.flatMap((member) => member.tokens)).map((end) => {
    const replicaSet = list(end);
    return { end, old: replicaSet, new: replicaSet, since: new Map() };
  }));
}

function listing(members: readonly LayoutMember[], replicas: number): (position: Position) => NodeId[] {
  const ring: TokenRing = tokenRing(members);
  return (position) => preferenceList(ring, position, replicas);
}

function sinceLookUp(layout: Layout): (position: Position) => ReadonlyMap<NodeId, Epoch> {
  const byEnd = new Map(layout.arcs.map((arc) => [arc.end, arc.since]));
  return (position) => byEnd.get(replicaSets(layout, position).end) ?? new Map();
}

function joinNeighbours(arcs: readonly LayoutArc[]): LayoutArc[] {
  const kept = arcs.filter((arc, i) => {
    const next = arcs[(i + 1) % arcs.length];
    return next === undefined || !isEqualArc(arc, next);
  });
  // All are equal: one arc is the whole ring.
  return kept.length > 0 ? kept : arcs.slice(-1);
}

function isEqualArc(a: LayoutArc, b: LayoutArc): boolean {
  return isEqualList(a.old, b.old) && isEqualList(a.new, b.new) && a.since.size === b.since.size
    && [...a.since].every(([nodeId, epoch]) => b.since.get(nodeId) === epoch);
}

function isEqualList(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((nodeId, i) => nodeId === b[i]);
}

function sortedUnique(positions: readonly Position[]): Position[] {
  return [...new Set(positions)].sort((a, b) => a - b);
}
