/**
 * Acceptor: what one replica answers to PREPARE and ACCEPT, as a function of its state for the key. The shell evaluates
 * it in the same synchronous step in which it applies the change, and again from the start after every wait.
 *
 * - PREPARE needs a ballot *strictly* above the promise: so a ballot gets at most one quorum of promises, and a node that
 *   restarts with its clock set back can't use one of its ballots twice.
 * - ACCEPT needs a ballot at or above the promise; where no value is, also one above the floor of erased tombstones (a
 *   promise alone doesn't lift the floor); and the record's body on the same disk. So every accepted record has its body
 *   beside it, and votes need not be counted apart from bodies.
 *
 * Source: [CASPaxos] "Acceptor"; protocol rules R5 and R6.
 */
import { compareBallots, equalBallots, isZeroBallot, maxBallot, type Ballot } from '../domain/ballot.ts';
import type { Rules } from '../domain/rules.ts';

export interface AcceptorState {
  readonly promised: Ballot;
  /** ZERO_BALLOT: no value. */
  readonly accepted: Ballot;
  /** Of the key's bucket: no ballot at or below it may start a value here. */
  readonly floor: Ballot;
}

export type PrepareDecision = 'promise' | 'refuse';

/** repeat: this very ballot is accepted already, and its body is here. fetch-body: get the body, then decide again. */
export type AcceptDecision = 'accept' | 'repeat' | 'refuse' | 'fetch-body';

export function decidePrepare(state: AcceptorState, ballot: Ballot, rules: Rules): PrepareDecision {
  const order = compareBallots(ballot, state.promised);
  return order > 0 || (order === 0 && !rules.promiseStrictlyAbove) ? 'promise' : 'refuse';
}

export function decideAccept(state: AcceptorState, ballot: Ballot, isBodyHeld: boolean, rules: Rules): AcceptDecision {
  if (compareBallots(ballot, state.promised) < 0) return 'refuse';
  if (isZeroBallot(state.accepted)) {
    if (rules.floorStopsAccept && compareBallots(ballot, state.floor) <= 0) return 'refuse';
  } else if (isBodyHeld && equalBallots(ballot, state.accepted)) {
    return 'repeat';
  }
  return isBodyHeld ? 'accept' : 'fetch-body';
}

/**
 * What a refused proposer has to outbid here: the promise, and the floor too where no value is. Without the floor a proposer
 * would come back below it until its clock has passed it, hours perhaps after a tombstone of a wild clock was erased.
 */
export function ballotToOutbid(state: AcceptorState): Ballot {
  return isZeroBallot(state.accepted) ? maxBallot(state.promised, state.floor) : state.promised;
}
