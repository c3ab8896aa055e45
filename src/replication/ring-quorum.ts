/**
 * Ring quorum: whether the nodes that answered are a joint quorum of every arc, so that together they know every name.
 * Arcs with the same replica sets count as one. Source: protocol rule R4.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { Rules } from '../domain/rules.ts';
import { majorityOf, votingSets, type ReplicaSets } from '../register/joint-quorum.ts';
import { allReplicaSets } from '../ring/placement.ts';

interface Group {
  readonly sets: ReplicaSets;
  arcs: number;
}

export class RingQuorum {
  readonly #groups: readonly Group[];

  constructor(layout: Layout, rules: Rules) {
    const groups = new Map<string, Group>();
    for (const sets of allReplicaSets(layout)) {
      const key = `${sets.old.toSorted().join()};${sets.new.toSorted().join()}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { sets: votingSets(sets, rules), arcs: 1 });
      else group.arcs += 1;
    }
    this.#groups = [...groups.values()];
  }

  isMet(answered: ReadonlySet<NodeId>): boolean {
    return this.#groups.every(({ sets }) => hasQuorum(sets, answered));
  }

  /** Number of arcs without a quorum. */
  arcsMissing(answered: ReadonlySet<NodeId>): number {
    return this.#groups.reduce((sum, { sets, arcs }) => sum + (hasQuorum(sets, answered) ? 0 : arcs), 0);
  }
}

function hasQuorum(sets: ReplicaSets, answered: ReadonlySet<NodeId>): boolean {
  return hasMajority(sets.old, answered) && (!sets.isMoving || hasMajority(sets.new, answered));
}

function hasMajority(set: readonly NodeId[], answered: ReadonlySet<NodeId>): boolean {
  let count = 0;
  for (const nodeId of set) if (answered.has(nodeId)) count += 1;
  return count >= majorityOf(set.length);
}
