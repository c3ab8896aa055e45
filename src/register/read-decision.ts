/**
 * Read decision: whether the replies so far settle a read in one round. They do when a quorum reports one equal *accepted
 * ballot* and nobody a higher one: that value is chosen. The same version under different ballots isn't enough: the later
 * ballot may be a re-accept that never reached a quorum, beneath which another write still wins.
 *
 * Cost: O(n) a reply. Source: [CASPaxos] "Optimizations" (one-round reads); protocol rule R8.
 */
import { compareBallots, equalBallots, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { BodyId, NodeId } from '../domain/ids.ts';
import type { Rules } from '../domain/rules.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import { JointQuorum, votingSets, type ReplicaSets } from './joint-quorum.ts';

export interface AcceptedValue {
  readonly ballot: Ballot;
  readonly record: ObjectRecord;
}

/** split: a quorum answered, but an identity round has to choose the value first. */
export type ReadDecision = 'wait' | 'settled' | 'split' | 'impossible';

export class ReadTally {
  readonly #sets: ReplicaSets;
  readonly #rules: Rules;
  readonly #answered: JointQuorum;
  #atHighest: JointQuorum;
  #highest: AcceptedValue | null = null;

  constructor(sets: ReplicaSets, rules: Rules) {
    this.#sets = votingSets(sets, rules);
    this.#rules = rules;
    this.#answered = new JointQuorum(this.#sets);
    this.#atHighest = new JointQuorum(this.#sets);
  }

  /** The value that the read returns once settled; null: absent. */
  get highest(): AcceptedValue | null {
    return this.#highest;
  }

  /** Who reported exactly the highest value: these hold its body. */
  get holders(): readonly NodeId[] {
    return this.#atHighest.voters;
  }

  add(nodeId: NodeId, accepted: AcceptedValue | null): ReadDecision {
    this.#answered.add(nodeId);
    const order = compareBallots(accepted?.ballot ?? ZERO_BALLOT, this.#highest?.ballot ?? ZERO_BALLOT);
    const isSameVersion = !this.#rules.readEqualBallots && accepted !== null && this.#highest !== null
      && equalBallots(accepted.record.version, this.#highest.record.version);
    if (order > 0) {
      this.#highest = accepted;
      if (!isSameVersion) this.#atHighest = new JointQuorum(this.#sets);
    }
    if (order >= 0 || isSameVersion) this.#atHighest.add(nodeId);
    return this.decision;
  }

  fail(nodeId: NodeId): ReadDecision {
    this.#answered.fail(nodeId);
    return this.decision;
  }

  get decision(): ReadDecision {
    if (this.#atHighest.isMet) return 'settled';
    if (this.#answered.isMet) return this.#rules.readWriteBack ? 'split' : 'settled';
    return this.#answered.isImpossible() ? 'impossible' : 'wait';
  }
}

/** Body of the record, or null for tombstones and absent keys. */
export function bodyIdOf(record: ObjectRecord | null | undefined): BodyId | null {
  return record?.kind === 'object' ? record.body.bodyId : null;
}
