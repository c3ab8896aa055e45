/**
 * Write operation: one put, delete or identity round as a state machine over all its rounds. The shell sends what a step
 * asks for and reports every reply; no state is changed anywhere else.
 *
 *            begin(ballot)                 promises: quorum              accepted: quorum
 *   idle ------------------> preparing ---------------------> accepting ------------------> finished
 *     ^                         |    \                            |
 *     |   refused: retry        |     \-- condition fails on a     |  refused: retry
 *     +-------------------------+         settled value, nothing   |
 *     |                                   to delete ---> finished  |
 *     +------------------------------------------------------------+
 *
 * Invariants: nothing is proposed but on the highest accepted value of a quorum of promises; what is reported (a stored
 * result, a failed condition) rests on a value that is chosen, by equal ballots or by accepting it again; after an
 * ACCEPT of the operation's own record has left, no end claims that nothing changed unless a later ballot is chosen:
 * a replica outside the quorum may hold the early one, and only a chosen later ballot buries it; an operation that may have
 * been asked for twice isn't applied once the history no longer tells whether the other one was.
 * Source: [CASPaxos] "The protocol"; protocol rules R4 to R9, section C.4.
 */
import { assertNever } from '../domain/assert.ts';
import { compareBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Rules } from '../domain/rules.ts';
import type { ObjectRecord, OpResult } from '../domain/stored-object.ts';
import { JointQuorum, votingSets, type ReplicaSets } from './joint-quorum.ts';
import { buildRecord, findOp, isConditionMet, type DeleteIntent, type PutIntent, type WriteIntent } from './proposal.ts';
import { bodyIdOf, type AcceptedValue } from './read-decision.ts';
import { decideRetry, isKnownSince, type SentProposal } from './retry-decision.ts';

/** A replica's reply to PREPARE. */
export interface PromiseReport {
  readonly state: 'promised' | 'refused';
  readonly promised: Ballot;
  readonly accepted: AcceptedValue | null;
  readonly floor: Ballot;
  readonly isStaged: boolean;
}

export type WriteResult =
  /** The write is chosen; `op` is what it did. */
  | { readonly kind: 'applied'; readonly op: OpResult }
  /** Nothing to do, on a settled value: an identity round, a delete of what isn't there. */
  | { readonly kind: 'unchanged'; readonly current: AcceptedValue | null; readonly holders: readonly NodeId[] }
  | { readonly kind: 'precondition-failed'; readonly current: Ballot | null }
  | { readonly kind: 'unknown' };

export type WriteStep =
  | { readonly kind: 'wait' }
  /** Send ACCEPT to all replicas. */
  | { readonly kind: 'accept'; readonly record: ObjectRecord; readonly holders: readonly NodeId[] }
  /** This round can't succeed: begin another with a ballot above `refused`. */
  | { readonly kind: 'retry'; readonly refused: Ballot }
  | { readonly kind: 'finished'; readonly result: WriteResult };

const WAIT: WriteStep = { kind: 'wait' };
const NOBODY: ReadonlySet<NodeId> = new Set();

interface Holder {
  readonly nodeId: NodeId;
  readonly accepted: AcceptedValue | null;
  readonly isStaged: boolean;
}

export class WriteOperation {
  readonly intent: WriteIntent;
  readonly #rules: Rules;
  #phase: 'idle' | 'preparing' | 'accepting' | 'finished' = 'idle';
  #ballot: Ballot = ZERO_BALLOT;
  #doubtful = NOBODY;
  #heard: Ballot | null = null;
  #promises!: JointQuorum;
  #accepts!: JointQuorum;
  #atHighest!: JointQuorum;
  #sets!: ReplicaSets;
  #highest: AcceptedValue | null = null;
  #floor: Ballot = ZERO_BALLOT;
  #refused: Ballot = ZERO_BALLOT;
  #holders: Holder[] = [];
  #sent: SentProposal | null = null;
  #resultWhenChosen: WriteResult | null = null;

  constructor(intent: WriteIntent, rules: Rules) {
    this.intent = intent;
    this.#rules = rules;
  }

  /** An ACCEPT of this operation's own record has left, or was seen: from here on "not applied" needs proof. */
  get hasProposed(): boolean {
    return this.#sent !== null;
  }

  /** Who is known to hold the value that this round chose, so far. */
  get chosenBy(): readonly NodeId[] {
    return this.#resultWhenChosen === null ? this.#atHighest.voters : this.#accepts.voters;
  }

  /**
   * Starts a round; the caller sends PREPARE to all replicas. `doubtful`: nodes that probably don't answer; after a
   * refusal the round isn't held up by them. `heard`: when this operation was asked for, if the same one may have been asked
   * for elsewhere since; it isn't applied where the history since then may have forgotten it.
   */
  begin(ballot: Ballot, sets: ReplicaSets, doubtful: ReadonlySet<NodeId>, heard: Ballot | null = null): void {
    this.#phase = 'preparing';
    this.#ballot = ballot;
    this.#doubtful = doubtful;
    this.#heard = heard;
    this.#sets = votingSets(sets, this.#rules);
    this.#promises = new JointQuorum(this.#sets);
    this.#accepts = new JointQuorum(this.#sets);
    this.#atHighest = new JointQuorum(this.#sets);
    this.#highest = null;
    this.#floor = ZERO_BALLOT;
    this.#refused = ZERO_BALLOT;
    this.#holders = [];
    this.#resultWhenChosen = null;
  }

  onPrepareReply(nodeId: NodeId, report: PromiseReport): WriteStep {
    if (this.#phase !== 'preparing') return WAIT;
    this.#holders.push({ nodeId, accepted: report.accepted, isStaged: report.isStaged });
    if (report.state === 'refused') return this.#lose(this.#promises, nodeId, report.promised);
    this.#floor = maxBallot(this.#floor, report.floor);
    const order = compareBallots(report.accepted?.ballot ?? ZERO_BALLOT, this.#highest?.ballot ?? ZERO_BALLOT);
    if (order > 0) {
      this.#highest = report.accepted;
      this.#atHighest = new JointQuorum(this.#sets);
    }
    if (order >= 0) this.#atHighest.add(nodeId);
    this.#promises.add(nodeId);
    return this.#promises.isMet ? this.#decide() : WAIT;
  }

  /** `promised`: what the replica refers to when it refused. */
  onAcceptReply(nodeId: NodeId, state: 'accepted' | 'refused' | 'body-missing', promised: Ballot): WriteStep {
    if (state === 'accepted') this.#accepts.add(nodeId);
    if (this.#phase !== 'accepting') return WAIT;
    if (state !== 'accepted') return this.#lose(this.#accepts, nodeId, promised);
    if (!this.#accepts.isMet || this.#resultWhenChosen === null) return WAIT;
    return this.#finish(this.#resultWhenChosen);
  }

  /** No answer to PREPARE, or none that counts in this round. */
  onPrepareFailure(nodeId: NodeId): WriteStep {
    return this.#phase === 'preparing' ? this.#lose(this.#promises, nodeId, ZERO_BALLOT) : WAIT;
  }

  /** No answer to ACCEPT, or none that counts in this round. */
  onAcceptFailure(nodeId: NodeId): WriteStep {
    return this.#phase === 'accepting' ? this.#lose(this.#accepts, nodeId, ZERO_BALLOT) : WAIT;
  }

  #lose(quorum: JointQuorum, nodeId: NodeId, promised: Ballot): WriteStep {
    quorum.fail(nodeId);
    this.#refused = maxBallot(this.#refused, promised);
    const isOutbid = compareBallots(this.#refused, this.#ballot) >= 0;
    if (!quorum.isImpossible(isOutbid ? this.#doubtful : null)) return WAIT;
    this.#phase = 'idle';
    return { kind: 'retry', refused: this.#refused };
  }

  #finish(result: WriteResult): WriteStep {
    this.#phase = 'finished';
    return { kind: 'finished', result };
  }

  #decide(): WriteStep {
    const { intent } = this;
    const current = this.#highest?.record ?? null;
    switch (intent.kind) {
      case 'identity':
        return this.#chooseAgain({ kind: 'unchanged', current: this.#highest, holders: [] }, true);
      case 'put':
      case 'delete':
        return this.#decideChange(intent, current);
      default:
        return assertNever(intent);
    }
  }

  #decideChange(intent: PutIntent | DeleteIntent, current: ObjectRecord | null): WriteStep {
    if (this.#rules.idempotentRetry) {
      const known = findOp(current, intent.opId);
      if (known !== null) {
        // Of an earlier request with this opId, perhaps: from here on it counts as if sent by this one.
        this.#sent ??= { firstBallot: known.version, baseVersion: null };
        return this.#chooseAgain({ kind: 'applied', op: known }, false);
      }
      if (this.#sent !== null && decideRetry(intent.opId, this.#sent, current, this.#floor, this.#rules).kind === 'unknown') {
        return this.#finish({ kind: 'unknown' });
      }
    }
    if (!isConditionMet(intent.condition, current)) {
      const version = current?.kind === 'object' ? current.version : null;
      return this.#chooseAgain({ kind: 'precondition-failed', current: version }, false);
    }
    if (intent.kind === 'delete' && current?.kind !== 'object') {
      return this.#chooseAgain({ kind: 'unchanged', current: null, holders: [] }, false);
    }
    // An absent key takes nothing at or below its floor (R6). A clock that was far ahead may have left a high one; asked for before
    // any ACCEPT leaves, a higher ballot costs a round, and a refused ACCEPT the certainty of what became of it (R9).
    if (this.#highest === null && compareBallots(this.#floor, this.#ballot) >= 0) {
      this.#phase = 'idle';
      return { kind: 'retry', refused: this.#floor };
    }
    if (this.#rules.idempotentRetry && this.#sent === null && this.#heard !== null && current !== null && !isKnownSince(current, this.#heard)) {
      return this.#finish({ kind: 'unknown' });
    }
    const record = buildRecord(intent, current, this.#ballot, this.#floor);
    this.#sent = { firstBallot: this.#sent?.firstBallot ?? this.#ballot, baseVersion: current?.version ?? null };
    const op = findOp(record, intent.opId);
    if (op === null) return this.#finish({ kind: 'unknown' });
    const bodyId = bodyIdOf(record);
    const holders = bodyId === null ? [] : this.#holders.filter((h) => h.isStaged).map((h) => h.nodeId);
    return this.#propose(record, holders, { kind: 'applied', op });
  }

  /** Ends with `result` once the highest value is chosen: at once when a quorum accepted it at one ballot. */
  #chooseAgain(result: WriteResult, isRoundWanted: boolean): WriteStep {
    const highest = this.#highest;
    // Nothing to accept again: a quorum has no value, so none is chosen. But an early ACCEPT of our own may be about.
    if (highest === null) return this.#finish(this.#sent === null ? result : { kind: 'unknown' });
    const isSettled = this.#atHighest.isMet && (this.#sent === null || result.kind === 'applied');
    if (isSettled && !isRoundWanted) return this.#finish(result);
    const bodyId = bodyIdOf(highest.record);
    const holders = bodyId === null ? [] : this.#holders.filter((h) => bodyIdOf(h.accepted?.record) === bodyId).map((h) => h.nodeId);
    const chosen = { ballot: this.#ballot, record: highest.record };
    return this.#propose(highest.record, holders, result.kind === 'unchanged' ? { kind: 'unchanged', current: chosen, holders } : result);
  }

  #propose(record: ObjectRecord, holders: readonly NodeId[], resultWhenChosen: WriteResult): WriteStep {
    this.#phase = 'accepting';
    this.#resultWhenChosen = resultWhenChosen;
    return { kind: 'accept', record, holders };
  }
}
