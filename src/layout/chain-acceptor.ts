/**
 * Acceptor of the layout chain: instance e + 1 is one Paxos decree, decided by the voters of layout e. A node keeps one
 * slot, for the instance after its own layout; adopting a newer layout clears it.
 *
 * The order is the safety: first adopt the carried layout e when it is newer, durably, only *then* look at the slot; when
 * the own layout is newer, answer with that. The caller carries the steps out and makes a slot durable before it sends
 * the reply that came with it.
 * Source: [PaxosSimple] "Choosing a Value"; protocol section A.4 (1).
 */
import { assert, assertNever } from '../domain/assert.ts';
import { compareBallots, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';

/** What a voter promised and accepted for instance layout.epoch + 1. */
export interface LayoutSlot {
  readonly promised: Ballot;
  readonly accepted: ChainVote | null;
}

export interface ChainVote {
  readonly ballot: Ballot;
  readonly value: Layout;
}

export const EMPTY_SLOT: LayoutSlot = { promised: ZERO_BALLOT, accepted: null };

/** Both carry the layout e whose voters decide. */
export type ChainRequest =
  | { readonly kind: 'prepare'; readonly layout: Layout; readonly ballot: Ballot }
  | { readonly kind: 'accept'; readonly layout: Layout; readonly ballot: Ballot; readonly value: Layout };

export type ChainReply =
  | { readonly kind: 'promised'; readonly ballot: Ballot; readonly accepted: ChainVote | null }
  | { readonly kind: 'accepted'; readonly ballot: Ballot }
  /** To a prepare or an accept: the slot promised this higher (or the same) ballot already. */
  | { readonly kind: 'refused'; readonly promised: Ballot }
  /** The voter's own layout: newer than the carried one, or one in which it has no vote. */
  | { readonly kind: 'layout'; readonly layout: Layout };

export interface AcceptorState {
  readonly self: NodeId;
  /** The newest layout durable here; null: none. */
  readonly layout: Layout | null;
  readonly slot: LayoutSlot;
}

export type AcceptorStep =
  /** Make this layout durable (the slot is empty then), then ask again with the same request. */
  | { readonly kind: 'adopt'; readonly layout: Layout }
  /** Make the slot durable, then send the reply. */
  | { readonly kind: 'vote'; readonly slot: LayoutSlot; readonly reply: ChainReply }
  /** Nothing changed; send the reply (after earlier votes are durable). */
  | { readonly kind: 'reply'; readonly reply: ChainReply };

export function acceptorStep(state: AcceptorState, request: ChainRequest): AcceptorStep {
  const { layout, slot } = state;
  if (layout === null || request.layout.epoch > layout.epoch) return { kind: 'adopt', layout: request.layout };
  if (request.layout.epoch < layout.epoch || !layout.voters.includes(state.self)) return { kind: 'reply', reply: { kind: 'layout', layout } };
  const { ballot } = request;
  switch (request.kind) {
    case 'prepare':
      // Strictly above: a proposer that restarted and drew the same ballot again must not share its old promises.
      if (compareBallots(ballot, slot.promised) <= 0) return refusal(slot);
      return vote({ promised: ballot, accepted: slot.accepted }, { kind: 'promised', ballot, accepted: slot.accepted });
    case 'accept':
      assert(request.value.epoch === layout.epoch + 1, 'a layout is decided for the next epoch');
      if (compareBallots(ballot, slot.promised) < 0) return refusal(slot);
      return vote({ promised: ballot, accepted: { ballot, value: request.value } }, { kind: 'accepted', ballot });
    default:
      return assertNever(request);
  }
}

function vote(slot: LayoutSlot, reply: ChainReply): AcceptorStep {
  return { kind: 'vote', slot, reply };
}

function refusal(slot: LayoutSlot): AcceptorStep {
  return { kind: 'reply', reply: { kind: 'refused', promised: slot.promised } };
}
