/**
 * Take: whether a replica takes over a record that another replica has accepted, in catch-up and anti-entropy. It is an
 * ACCEPT that nobody proposes again, so it obeys promises; the floor doesn't count, because the record was read from a
 * quorum that still has it.
 *
 * The caller has fetched the body first and checked that both ends are in the same epoch.
 * Repair in a stable layout is different (`decideRepair`): tombstones are erased there, so a copy that was asked for before
 * may arrive after. Where no value is, one at or below the floor isn't taken: an object is chosen again above the floor, by
 * an identity round on what a quorum has now, and a tombstone is left alone.
 * Source: protocol rules R10 to R12.
 */
import { compareBallots, isZeroBallot, maxBallot, type Ballot } from '../domain/ballot.ts';
import type { Rules } from '../domain/rules.ts';
import type { AcceptorState } from './acceptor.ts';

/** promise-in-the-way: only an identity round can bring the record here. */
export type TakeDecision = 'take' | 'already-higher' | 'promise-in-the-way';

export function decideTake(state: AcceptorState, ballot: Ballot, rules: Rules): TakeDecision {
  if (compareBallots(ballot, state.accepted) <= 0) return 'already-higher';
  if (rules.takeObeysPromise && compareBallots(ballot, state.promised) < 0) return 'promise-in-the-way';
  return 'take';
}

/** leave: nothing to do here. choose-again: an identity round with a ballot above `above`. */
export type RepairDecision =
  | { readonly kind: 'take' | 'already-higher' | 'leave' }
  | { readonly kind: 'choose-again'; readonly above: Ballot };

/** For anti-entropy, hints and every other copy in a stable layout. `recordKind`: of the record that was offered. */
export function decideRepair(state: AcceptorState, ballot: Ballot, recordKind: 'object' | 'tombstone', rules: Rules): RepairDecision {
  const isBelowFloor = isZeroBallot(state.accepted) && compareBallots(ballot, state.floor) <= 0;
  const above = maxBallot(state.promised, state.floor);
  if (rules.floorStopsCopy && isBelowFloor) return recordKind === 'tombstone' ? { kind: 'leave' } : { kind: 'choose-again', above };
  const decision = decideTake(state, ballot, rules);
  return decision === 'promise-in-the-way' ? { kind: 'choose-again', above } : { kind: decision };
}
