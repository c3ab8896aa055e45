/**
 * Preference list: the n distinct nodes that should hold a key, best first.
 *
 * Walk clockwise from the key's position and take the first token of each new node, skipping zones already used while
 * unused zones remain; then the skipped nodes come, in the order in which the walk met them.
 *
 * Invariants: no node twice; the same members and position give the same list on every node; length is min(n, members).
 * The list depends on the tokens walked alone, and a walk that starts later never ends earlier (token allocation relies
 * on both).
 * Cost: O(log T + tokens walked), T = tokens in the ring.
 * Rejected: hashing n times with salts, because ranges would not be contiguous and catch-up needs ranges.
 * Source: [Dynamo] "Replication"; zones depart from it, see docs/divergences.md.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Position } from '../domain/ring-position.ts';
import { tokenIndexAt, type TokenRing } from './token-ring.ts';

/** The first min(count, members) nodes for the position. */
export function preferenceList(ring: TokenRing, position: Position, count: number): NodeId[] {
  return preferenceWalk(ring, tokenIndexAt(ring, position), count).list.map((number) => ring.nodeIds[number] as NodeId);
}

/** The walk from a token: the list as member numbers, and how many tokens it looked at. */
export function preferenceWalk(ring: TokenRing, from: number, count: number): { readonly list: number[]; readonly steps: number } {
  const { holders, zones, zoneCount } = ring;
  const list: number[] = [];
  const skipped: number[] = [];
  const usedZones: number[] = [];
  const wanted = Math.min(count, ring.nodeIds.length);
  let steps = 0;
  for (; steps < holders.length && list.length < wanted; steps++) {
    const holder = holders[(from + steps) % holders.length] as number;
    const zone = zones[holder] as number;
    if (list.includes(holder) || skipped.includes(holder)) continue;
    if (usedZones.includes(zone) && usedZones.length < zoneCount) {
      skipped.push(holder);
    } else {
      if (!usedZones.includes(zone)) usedZones.push(zone);
      list.push(holder);
      if (usedZones.length === zoneCount) list.push(...skipped.splice(0, wanted - list.length));
    }
  }
  return { list, steps };
}
