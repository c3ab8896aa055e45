/**
 * Take: whether a replica takes over a record that another replica has accepted, in catch-up and anti-entropy. It is an
 * ACCEPT that nobody proposes again, so it obeys promises; in catch-up the floor doesn't count, because the record was read
 * from a quorum that still has it.
 *
 * The caller has fetched the body first and checked that both ends are in the same epoch.
 * Repair in a stable layout is different (`decideRepair`): tombstones are erased there, so a copy that was asked for before
 * may arrive after. Where no value is, one at or below the floor isn't taken: an object is chosen again above the floor, by
 * an identity round on what a quorum has now, and a tombstone is left alone.
 *
 * Catch-up hands over the promises of the majority too (`decideCatchUp`), as any transfer of an acceptor's state must: a record
 * below one of them may be what the promise was to bury. Old set abc, new acd: a alone has accepted a write at ballot 1; b and c
 * have promised ballot 2, at which c alone has accepted the value before it again. Neither is chosen. d reads a and b. Did it take
 * a's record as it is, then a and d, a majority of the new set, would show one equal ballot to a read in one round, and the next
 * round that hears c would choose what c has (register kernel, seed 1028122 of a million).
 * With it: if nobody in the majority promised above the highest record, no higher ballot of an older epoch was ever proposed, for its
 * promises would meet the majority; else an identity round decides. Records of the present epoch were chosen by majorities of old
 * and of new, so an ordinary take does for them.
 * Source: protocol rules R10 to R12; [Reconfig] state transfer: a new acceptor starts from the promises of a quorum of the old.
 */
import { compareBallots, isZeroBallot, maxBallot, type Ballot } from '../domain/ballot.ts';
import type { Epoch } from '../domain/ids.ts';
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

/** promise: no record is here or there, but a promise to take over. */
export type CatchUpDecision = RepairDecision | { readonly kind: 'promise'; readonly ballot: Ballot };

/**
 * For catch-up in the moving layout of `epoch`. `shown`: the highest promise and the highest accepted ballot of a majority of the
 * old set.
 */
export function decideCatchUp(own: AcceptorState, shown: Omit<AcceptorState, 'floor'>, epoch: Epoch, rules: Rules): CatchUpDecision {
  const promised = maxBallot(own.promised, shown.promised);
  const accepted = maxBallot(own.accepted, shown.accepted);
  if (rules.catchUpKeepsPromises && isZeroBallot(accepted)) {
    return compareBallots(shown.promised, own.promised) > 0 ? { kind: 'promise', ballot: shown.promised } : { kind: 'leave' };
  }
  if (rules.catchUpKeepsPromises && accepted.epoch < epoch && compareBallots(promised, accepted) > 0) return { kind: 'choose-again', above: promised };
  const decision = decideTake(own, shown.accepted, rules);
  return decision === 'promise-in-the-way' ? { kind: 'choose-again', above: own.promised } : { kind: decision };
}
