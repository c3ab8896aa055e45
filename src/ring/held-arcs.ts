/**
 * Held arcs: where on the ring a node is a replica, and where it isn't. Catch-up works on the first, release of copies
 * that a node needn't hold any more on the second. Neighbouring arcs are joined, also over 0.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { RingArc } from '../domain/ring-position.ts';
import { allReplicaSets, type ReplicaSets } from './placement.ts';

/** Where the node is in old or new. */
export function arcsHeldBy(layout: Layout, nodeId: NodeId): RingArc[] {
  return arcsWhere(layout, (sets) => sets.all.includes(nodeId));
}

/** Where the node is in neither: what it still has there is an ex-owner's leftover. */
export function arcsNotHeldBy(layout: Layout, nodeId: NodeId): RingArc[] {
  return arcsWhere(layout, (sets) => !sets.all.includes(nodeId));
}

/** Where both nodes are replicas and nothing moves: there they should hold the same. Both find the same arcs. */
export function arcsSharedBy(layout: Layout, a: NodeId, b: NodeId): RingArc[] {
  return arcsWhere(layout, (sets) => !sets.isMoving && sets.all.includes(a) && sets.all.includes(b));
}

/** Arcs of the layout that satisfy the condition, clockwise, neighbours joined. */
export function arcsWhere(layout: Layout, condition: (sets: ReplicaSets, arcIndex: number) => boolean): RingArc[] {
  const arcs: RingArc[] = [];
  allReplicaSets(layout).forEach((sets, arcIndex) => {
    if (!condition(sets, arcIndex)) return;
    const before = arcs.at(-1);
    if (before !== undefined && before.to === sets.from) arcs[arcs.length - 1] = { from: before.from, to: sets.end };
    else arcs.push({ from: sets.from, to: sets.end });
  });
  const first = arcs[0];
  const last = arcs.at(-1);
  if (first === undefined || last === undefined || arcs.length === 1 || last.to !== first.from) return arcs;
  return [...arcs.slice(1, -1), { from: last.from, to: first.to }];
}
