/**
 * Take: whether a replica takes over a record that another replica has accepted, in catch-up and anti-entropy. It is an
 * ACCEPT that nobody proposes again, so it obeys promises; the floor doesn't count, because the record was read from a
 * quorum that still has it.
 *
 * The caller has fetched the body first and checked that both ends are in the same epoch.
 * Source: protocol rules R10 and R11.
 */
import { compareBallots, type Ballot } from '../domain/ballot.ts';
import type { Rules } from '../domain/rules.ts';
import type { AcceptorState } from './acceptor.ts';

/** promise-in-the-way: only an identity round can bring the record here. */
export type TakeDecision = 'take' | 'already-higher' | 'promise-in-the-way';

export function decideTake(state: AcceptorState, ballot: Ballot, rules: Rules): TakeDecision {
  if (compareBallots(ballot, state.accepted) <= 0) return 'already-higher';
  if (rules.takeObeysPromise && compareBallots(ballot, state.promised) < 0) return 'promise-in-the-way';
  return 'take';
}
