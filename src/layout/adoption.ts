/**
 * Adoption: what a node has to forget when it takes over a newer layout. Registers of an arc that this node has not
 * held without a break since its present epoch are from an earlier run: meanwhile others may have decided without it,
 * and its old promises and values must not vote again. The newest layout alone tells; those between aren't needed.
 *
 * The discard is durable before or together with the layout, never after it. Bodies may stay as a cache.
 * Source: protocol section A.4 (10), rule R14.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { RingArc } from '../domain/ring-position.ts';
import { descentOf } from './descent.ts';
import { arcsWhere } from '../ring/held-arcs.ts';

export interface Adoption {
  /** Arcs whose registers go; a bucket's floor goes only when the whole bucket lies in them. */
  readonly discards: readonly RingArc[];
}

/** `present`: the layout durable here, null for none. `next` is newer. */
export function adoption(present: Layout | null, next: Layout, self: NodeId): Adoption {
  const presentEpoch = present?.epoch ?? 0;
  return { discards: arcsWhere(next, (_sets, i) => (next.arcs[i]?.since.get(self) ?? 0) > presentEpoch) };
}

/** Whether a node that shows the layout `shown` should make its holder take it over. */
export function isNewer(shown: Layout, present: Layout | null): boolean {
  if (present === null) return true;
  const descent = descentOf(shown, present);
  return descent === 'follows' || descent === 'recovered';
}
