/**
 * Whom a node pings: clockwise from itself up to the third reachable member, and those in between that aren't reachable, so
 * that their return is noticed.
 * Source: protocol A.5.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout, LayoutMember } from '../domain/layout.ts';

/** Nodes between here and the last reachable one that are pinged too. */
const WATCHED_DOWN_MAX = 8;

/** Nobody, where `self` isn't a member. `reachableMax`: how many reachable ones to watch. */
export function watchedMembers(layout: Layout, self: NodeId, unreachable: ReadonlySet<NodeId>, reachableMax: number): readonly LayoutMember[] {
  const ring = [...layout.members].sort((a, b) => keyOf(a) - keyOf(b) || (a.nodeId < b.nodeId ? -1 : 1));
  const at = ring.findIndex((member) => member.nodeId === self);
  if (at === -1) return [];
  const watched: LayoutMember[] = [];
  let reachable = 0;
  for (const member of [...ring.slice(at + 1), ...ring.slice(0, at)]) {
    if (reachable >= reachableMax || watched.length - reachable >= WATCHED_DOWN_MAX) break;
    watched.push(member);
    if (!unreachable.has(member.nodeId)) reachable += 1;
  }
  return watched;
}

function keyOf(member: LayoutMember): number {
  return member.tokens[0] ?? 0;
}
