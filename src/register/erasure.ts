/**
 * Erasure of tombstones: when a deleted key may be forgotten altogether, so that deletes don't fill the index for ever.
 *
 * A tombstone hides every older value of its key. It may go once no older value is left that it has to hide, and no ballot
 * up to its own can start a value again: all replicas of the key, in a stable layout, show exactly this tombstone (promised
 * and accepted at one ballot), or are past that already (no value, and a floor that high). Each replica looks again when it
 * is told to erase, and raises the floor of the key's bucket to the tombstone's ballot in the same durable step: the floor
 * takes the place of what it forgets.
 *
 * A majority isn't enough: the replica that wasn't asked may hold an older value, and a later quorum of it and an erased
 * one would bring that back. When all answer but differ, an identity round on the key makes them alike for the next time.
 * Rejected: erasing after a time, because a replica may be away for longer than any time.
 * Source: [CASPaxos] "Deletes"; protocol rule R13.
 */
import { compareBallots, equalBallots, isZeroBallot, type Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Rules } from '../domain/rules.ts';
import type { AcceptorState } from './acceptor.ts';
import { JointQuorum, type ReplicaSets } from './joint-quorum.ts';

/** alike: exactly the tombstone, or erased already. differs: anything else, an older or a newer value or promise. */
export type TombstoneView = 'alike' | 'differs';

/** erase: tell all replicas. even-out: an identity round first. give-up: somebody doesn't answer, or the layout moves. */
export type ErasureDecision = 'wait' | 'erase' | 'even-out' | 'give-up';

/** What a replica says to the question for the tombstone at `ballot`: one ballot has one value, so the ballot is enough. */
export function viewTombstone(state: AcceptorState, ballot: Ballot): TombstoneView {
  if (isZeroBallot(state.accepted)) return compareBallots(state.floor, ballot) >= 0 ? 'alike' : 'differs';
  return equalBallots(state.accepted, ballot) && equalBallots(state.promised, ballot) ? 'alike' : 'differs';
}

/** What a replica does when told to erase the tombstone at `ballot`: it decides by its own state, not by the teller's. */
export function decideErase(state: AcceptorState, ballot: Ballot): 'erase' | 'keep' {
  return !isZeroBallot(ballot) && equalBallots(state.accepted, ballot) && equalBallots(state.promised, ballot) ? 'erase' : 'keep';
}

/** The views of one tombstone, replica by replica, all in one epoch. */
export class ErasureTally {
  readonly #sets: ReplicaSets;
  readonly #rules: Rules;
  readonly #alike: JointQuorum;
  readonly #answered = new Set<NodeId>();
  #isDifferent = false;
  #isFailed = false;

  constructor(sets: ReplicaSets, rules: Rules) {
    this.#sets = sets;
    this.#rules = rules;
    this.#alike = new JointQuorum(sets);
    this.#isFailed = sets.isMoving;
  }

  add(nodeId: NodeId, view: TombstoneView): ErasureDecision {
    if (!this.#sets.old.includes(nodeId)) return this.decision;
    this.#answered.add(nodeId);
    if (view === 'alike') this.#alike.add(nodeId);
    else this.#isDifferent = true;
    return this.decision;
  }

  /** No answer, or one of another epoch. */
  fail(nodeId: NodeId): ErasureDecision {
    if (!this.#answered.has(nodeId)) this.#isFailed = true;
    return this.decision;
  }

  get decision(): ErasureDecision {
    if (!this.#rules.eraseNeedsAll && this.#alike.isMet) return 'erase';
    if (this.#isFailed) return 'give-up';
    if (this.#answered.size < this.#sets.old.length) return 'wait';
    if (!this.#isDifferent) return 'erase';
    return this.#rules.eraseEvensOut ? 'even-out' : 'give-up';
  }
}
