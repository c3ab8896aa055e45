/**
 * Placement: which replica sets a layout gives a position. The arcs say it all; this file only makes the answer cheap,
 * because every operation asks. What is derived from a layout is computed once and kept as long as the layout value.
 *
 * An arc counts as moving when its two *sets* differ: with equal sets every majority of one is a majority of the other,
 * so nothing has to be copied and one quorum is enough, whatever the order in the lists.
 * Cost: a binary search over doubles, no allocation.
 */
import { must } from '../domain/assert.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout, LayoutArc, LayoutMember } from '../domain/layout.ts';
import type { Position } from '../domain/ring-position.ts';

/** (from, end] and its replica sets; from === end is the whole ring. */
export interface ReplicaSets {
  readonly from: Position;
  readonly end: Position;
  /** Owns the arc until the move ends; best first. */
  readonly old: readonly NodeId[];
  /** Owns it afterwards. */
  readonly new: readonly NodeId[];
  /** Quorums need majorities of both. */
  readonly isMoving: boolean;
  /** old ∪ new, each once, old first: whom an operation asks. */
  readonly all: readonly NodeId[];
}

interface Derived {
  readonly ends: Float64Array;
  readonly sets: readonly ReplicaSets[];
  readonly members: ReadonlyMap<NodeId, LayoutMember>;
}

const derivedByLayout = new WeakMap<Layout, Derived>();

/** The replica sets of the arc that holds the position. */
export function replicaSets(layout: Layout, position: Position): ReplicaSets {
  const { ends, sets } = derivedFrom(layout);
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle] as number) < position) low = middle + 1;
    else high = middle;
  }
  return sets[low === ends.length ? 0 : low] as ReplicaSets;
}

/** The replica sets of all arcs, in the order of `layout.arcs`; together they are the whole ring. */
export function allReplicaSets(layout: Layout): readonly ReplicaSets[] {
  return derivedFrom(layout).sets;
}

export function memberById(layout: Layout, nodeId: NodeId): LayoutMember | undefined {
  return derivedFrom(layout).members.get(nodeId);
}

/** Copies that each object has now: min(n, members). While the number of members changes, that of the owners. */
export function effectiveReplicas(layout: Layout): number {
  return Math.min(layout.replicas, layout.members.filter((member) => member.state !== 'joining').length);
}

/** Whether the two replica sets differ. */
export function isMovingArc(arc: Pick<LayoutArc, 'old' | 'new'>): boolean {
  return arc.old.length !== arc.new.length || arc.old.some((nodeId) => !arc.new.includes(nodeId));
}

function derivedFrom(layout: Layout): Derived {
  const known = derivedByLayout.get(layout);
  if (known !== undefined) return known;
  const { arcs } = layout;
  const sets = arcs.map((arc, i): ReplicaSets => ({
    from: must(arcs[i === 0 ? arcs.length - 1 : i - 1], 'the arc before').end,
    end: arc.end,
    old: arc.old,
    new: arc.new,
    isMoving: isMovingArc(arc),
    all: [...arc.old, ...arc.new.filter((nodeId) => !arc.old.includes(nodeId))],
  }));
  const derived: Derived = {
    ends: Float64Array.from(arcs, (arc) => arc.end),
    sets,
    members: new Map(layout.members.map((member) => [member.nodeId, member])),
  };
  derivedByLayout.set(layout, derived);
  return derived;
}
