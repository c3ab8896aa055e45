/**
 * Pointers: predecessor, successor and successor list, derived from the layout and from who is reachable. They are
 * the seed's observable ring, and choose whom to ping; they never decide who owns anything.
 *
 * The ring of pointers is made of token 0 of each member that stays or comes (`member`, `joining`): a decided join or
 * leave shows in them at once, although ownership moves only when the data has. A leaver still finds its own place.
 * Invariants: following `successor` visits every reachable node once; alone, a node is its own successor and
 * predecessor. Equal positions are ordered by nodeId.
 * Cost: O(members) a call.
 * Source: [Chord] "Stabilization and Failures", as derived values instead of stored ones; see docs/divergences.md.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout, LayoutMember } from '../domain/layout.ts';
import { SUCCESSORS_MAX } from '../domain/limits.ts';
import type { Position } from '../domain/ring-position.ts';
import { memberById } from './placement.ts';

export interface Pointers {
  readonly predecessor: LayoutMember;
  readonly successor: LayoutMember;
  /** The next distinct reachable nodes clockwise, at most SUCCESSORS_MAX; only the node itself when it is alone. */
  readonly successors: readonly LayoutMember[];
}

/** Null: `self` is no member of the layout. */
export function pointers(layout: Layout, self: NodeId, unreachable: ReadonlySet<NodeId>): Pointers | null {
  const here = memberById(layout, self);
  if (here === undefined) return null;
  const others = reachableRing(layout, unreachable).filter((member) => member !== here);
  const first = others.findIndex((member) => compareOnRing(member, here) > 0);
  const clockwise = first <= 0 ? others : [...others.slice(first), ...others.slice(0, first)];
  const successors = clockwise.length === 0 ? [here] : clockwise.slice(0, SUCCESSORS_MAX);
  return { predecessor: clockwise.at(-1) ?? here, successor: successors[0] ?? here, successors };
}

/** The first reachable node at or clockwise after the position; null when none is reachable. */
export function successorAt(layout: Layout, position: Position, unreachable: ReadonlySet<NodeId>): LayoutMember | null {
  const ring = reachableRing(layout, unreachable);
  return ring.find((member) => keyOf(member) >= position) ?? ring[0] ?? null;
}

function reachableRing(layout: Layout, unreachable: ReadonlySet<NodeId>): LayoutMember[] {
  return layout.members
    .filter((member) => member.state !== 'leaving' && member.state !== 'lost' && !unreachable.has(member.nodeId))
    .sort(compareOnRing);
}

function compareOnRing(a: LayoutMember, b: LayoutMember): number {
  return keyOf(a) - keyOf(b) || (a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0);
}

function keyOf(member: LayoutMember): Position {
  return member.tokens[0] as Position;
}
