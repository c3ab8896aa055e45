/**
 * Suspicion: what the ring says of a node, and which of two sayings wins.
 *
 *            nobody answers for it               time over, enough accusers
 *    alive ------------------------> suspect --------------------------------> down
 *      ^  \                             |                                        |
 *      |   +--> restarting (announced by the node itself), left (gone for good)  |
 *      +--------------------------------+----------------------------------------+
 *                       the accused says so with a higher incarnation
 *
 * The higher incarnation wins; at the same one left > down > suspect > restarting > alive, and the accusers of a suspect
 * are joined. So merging is commutative, associative and idempotent: gossip may come in any order, any number of times.
 * An unrefuted suspect is avoided by every node at once; `down` is the lasting verdict (alerts, hints, later the move out).
 * Source: [SWIM] "Suspicion Mechanism: Reducing the Frequency of False Positives"; [memberlist] `suspicion.go`.
 */
import type { NodeId } from '../domain/ids.ts';

export type RumourState = 'alive' | 'restarting' | 'suspect' | 'down' | 'left';

export interface Rumour {
  readonly incarnation: number;
  readonly state: RumourState;
  /** Sorted; empty unless suspect or down. */
  readonly accusers: readonly NodeId[];
}

/** Accusers kept of one suspect: two are needed, a few more survive the loss of one. */
export const ACCUSERS_MAX = 4;

const RANK: Readonly<Record<RumourState, number>> = { alive: 0, restarting: 1, suspect: 2, down: 3, left: 4 };

/** The stronger of two rumours of one node; `present` itself when `incoming` adds nothing. */
export function mergeRumours(present: Rumour, incoming: Rumour): Rumour {
  if (incoming.incarnation !== present.incarnation) return incoming.incarnation > present.incarnation ? incoming : present;
  if (RANK[incoming.state] !== RANK[present.state]) return RANK[incoming.state] > RANK[present.state] ? incoming : present;
  const accusers = [...new Set([...present.accusers, ...incoming.accusers])].sort().slice(0, ACCUSERS_MAX);
  return accusers.every((a, i) => a === present.accusers[i]) && accusers.length === present.accusers.length
    ? present
    : { ...present, accusers };
}

/** What `accuser` says of a node that it knows by `present`. A node that is down or gone isn't accused again. */
export function accuse(present: Rumour, accuser: NodeId): Rumour {
  return mergeRumours(present, { incarnation: present.incarnation, state: 'suspect', accusers: [accuser] });
}

/** Milliseconds that a suspect has to refute before it is down: base * max(1, log10 n). */
export function suspicionMs(baseMs: number, members: number): number {
  return baseMs * Math.max(1, Math.log10(members));
}

/** Accusers that make a suspect down: two, where the ring has two others that could accuse. */
export function accusersNeeded(liveOthers: number): number {
  return Math.max(1, Math.min(2, liveOthers));
}
