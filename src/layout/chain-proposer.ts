/**
 * Proposer of the layout chain: one round with one ballot, from PREPARE to a decision or a reason why not.
 *
 * ```
 *   start --prepare--> preparing --majority promised--> accepting --majority accepted--> decided
 *                        |   nothing to propose: idle       |
 *                        +--- refused / newer layout -------+--> refused / superseded
 * ```
 * It takes over the accepted value with the highest ballot that a majority reported, whatever it wanted itself. An
 * accepted value is not a decided one: only a majority of voters that accepted the same ballot is. With nothing of its
 * own it probes: a round that was left half done comes to its end, otherwise it stops after PREPARE.
 * A round that gets no answers is simply dropped by its owner, who starts another with a higher ballot later.
 * Source: [PaxosSimple] "Choosing a Value"; protocol section A.4 (2).
 */
import { assert, assertNever } from '../domain/assert.ts';
import { compareBallots, type Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { ChainReply, ChainRequest, ChainVote } from './chain-acceptor.ts';

export interface ProposerState {
  /** Layout e: its voters decide. */
  readonly layout: Layout;
  readonly ballot: Ballot;
  /** What the proposer would like; null: a probe. */
  readonly wish: Layout | null;
  readonly phase: 'preparing' | 'accepting' | 'ended';
  readonly promises: ReadonlyMap<NodeId, ChainVote | null>;
  /** The value sent with ACCEPT. */
  readonly value: Layout | null;
  readonly accepts: ReadonlySet<NodeId>;
}

export type ProposerEffect =
  | { readonly kind: 'send'; readonly to: readonly NodeId[]; readonly request: ChainRequest }
  /** The value is layout e + 1: adopt and announce it. */
  | { readonly kind: 'decided'; readonly layout: Layout }
  /** Someone showed a newer layout: adopt it; this round is over. */
  | { readonly kind: 'superseded'; readonly layout: Layout }
  /** A voter promised this higher ballot: try again later with a higher clock. */
  | { readonly kind: 'refused'; readonly promised: Ballot }
  /** A probe found nothing. */
  | { readonly kind: 'idle' };

export interface ProposerStep {
  readonly state: ProposerState;
  readonly effects: readonly ProposerEffect[];
}

/** Ballots of instance layout.epoch + 1; `hlc` has to be above every one this node used or was refused by. */
export function chainBallot(layout: Layout, hlc: number, self: NodeId): Ballot {
  return { epoch: layout.epoch + 1, hlc, nodeId: self };
}

export function startProposal(layout: Layout, ballot: Ballot, wish: Layout | null): ProposerStep {
  assert(wish === null || wish.epoch === layout.epoch + 1, 'a proposal is for the next epoch');
  return {
    state: { layout, ballot, wish, phase: 'preparing', promises: new Map(), value: null, accepts: new Set() },
    effects: [{ kind: 'send', to: layout.voters, request: { kind: 'prepare', layout, ballot } }],
  };
}

export function proposerStep(state: ProposerState, from: NodeId, reply: ChainReply): ProposerStep {
  if (state.phase === 'ended') return { state, effects: [] };
  if (reply.kind === 'layout') {
    return reply.layout.epoch > state.layout.epoch ? ended(state, { kind: 'superseded', layout: reply.layout }) : { state, effects: [] };
  }
  if (!state.layout.voters.includes(from)) return { state, effects: [] };
  switch (reply.kind) {
    case 'refused':
      // Not above: an answer to a duplicate of this round's own request.
      return compareBallots(reply.promised, state.ballot) > 0 ? ended(state, { kind: 'refused', promised: reply.promised }) : { state, effects: [] };
    case 'promised':
      return promised(state, from, reply);
    case 'accepted':
      return accepted(state, from, reply.ballot);
    default:
      return assertNever(reply);
  }
}

function promised(state: ProposerState, from: NodeId, reply: ChainReply & { kind: 'promised' }): ProposerStep {
  if (state.phase !== 'preparing' || compareBallots(reply.ballot, state.ballot) !== 0) return { state, effects: [] };
  const promises = new Map(state.promises).set(from, reply.accepted);
  if (!isQuorum(state, promises.size)) return { state: { ...state, promises }, effects: [] };
  const { layout, ballot } = state;
  const value = highestVote([...promises.values()])?.value ?? state.wish;
  if (value === null) return ended({ ...state, promises }, { kind: 'idle' });
  return {
    state: { ...state, promises, phase: 'accepting', value },
    effects: [{ kind: 'send', to: layout.voters, request: { kind: 'accept', layout, ballot, value } }],
  };
}

function accepted(state: ProposerState, from: NodeId, ballot: Ballot): ProposerStep {
  if (state.phase !== 'accepting' || state.value === null || compareBallots(ballot, state.ballot) !== 0) return { state, effects: [] };
  const accepts = new Set(state.accepts).add(from);
  const next = { ...state, accepts };
  return isQuorum(state, accepts.size) ? ended(next, { kind: 'decided', layout: state.value }) : { state: next, effects: [] };
}

function highestVote(votes: readonly (ChainVote | null)[]): ChainVote | null {
  return votes.reduce((best, vote) => (vote !== null && (best === null || compareBallots(vote.ballot, best.ballot) > 0) ? vote : best), null);
}

function isQuorum(state: ProposerState, count: number): boolean {
  return count > state.layout.voters.length / 2;
}

function ended(state: ProposerState, effect: ProposerEffect): ProposerStep {
  return { state: { ...state, phase: 'ended' }, effects: [effect] };
}
