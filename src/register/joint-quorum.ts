/**
 * Joint quorum: a majority of the old replica set and, while the arc moves, a majority of the new one too. So any two
 * quorums of neighbouring epochs share a replica, and a move needs no pause of reads and writes.
 *
 * Invariants: a node counts once, whatever arrives twice; nodes outside both sets never count. Cost: O(n) a reply, n <= 6.
 * Source: [Raft] "Cluster membership changes" (joint consensus); protocol rules R4 and A.4 (7).
 */
import type { NodeId } from '../domain/ids.ts';
import type { Rules } from '../domain/rules.ts';

/** Who votes on a key: `old` alone in a stable layout, both lists while the arc moves. */
export interface ReplicaSets {
  readonly old: readonly NodeId[];
  readonly new: readonly NodeId[];
  readonly isMoving: boolean;
}

export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** old ∪ new, without doubles: old first, each in preference order. */
export function replicasOf(sets: ReplicaSets): readonly NodeId[] {
  if (!sets.isMoving) return sets.old;
  return [...sets.old, ...sets.new.filter((id) => !sets.old.includes(id))];
}

/** The sets that count under these rules: without `jointQuorum` a move looks only at the new set. */
export function votingSets(sets: ReplicaSets, rules: Rules): ReplicaSets {
  if (rules.jointQuorum || !sets.isMoving) return sets;
  return { old: sets.new, new: sets.new, isMoving: false };
}

export class JointQuorum {
  readonly #sets: ReplicaSets;
  readonly #yes: NodeId[] = [];
  readonly #no: NodeId[] = [];

  constructor(sets: ReplicaSets) {
    this.#sets = sets;
  }

  /** Counts a vote for; a node that failed before may still vote (a repeated call). */
  add(nodeId: NodeId): void {
    if (!this.#yes.includes(nodeId)) this.#yes.push(nodeId);
  }

  /** This node won't vote, as far as this round knows. */
  fail(nodeId: NodeId): void {
    if (!this.#no.includes(nodeId)) this.#no.push(nodeId);
  }

  /** Who voted for, in the order of arrival. */
  get voters(): readonly NodeId[] {
    return this.#yes;
  }

  get isMet(): boolean {
    const { old, new: next, isMoving } = this.#sets;
    return this.#votes(old) >= majorityOf(old.length) && (!isMoving || this.#votes(next) >= majorityOf(next.length));
  }

  /** No outstanding vote can complete it, counting out the `doubtful` nodes that haven't voted. */
  isImpossible(doubtful: ReadonlySet<NodeId> | null = null): boolean {
    const { old, new: next, isMoving } = this.#sets;
    return this.#possible(old, doubtful) < majorityOf(old.length)
      || (isMoving && this.#possible(next, doubtful) < majorityOf(next.length));
  }

  #votes(set: readonly NodeId[]): number {
    let count = 0;
    for (const id of this.#yes) if (set.includes(id)) count++;
    return count;
  }

  #possible(set: readonly NodeId[], doubtful: ReadonlySet<NodeId> | null): number {
    let count = 0;
    for (const id of set) {
      if (this.#yes.includes(id) || !(this.#no.includes(id) || doubtful?.has(id) === true)) count++;
    }
    return count;
  }
}
